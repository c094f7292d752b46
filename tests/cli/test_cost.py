"""`cost`, which needs no run."""

import json
import os
import re

import pytest

from keras_kd.export import cost_card, cost_networks
from tests.support import golden
from tests.support.commands import call

PLAIN = "cifar_resnet:8:width=4:shortcuts=none"


def test_what_the_terminal_shows_of_a_network_by_text_against_its_residual_twin(tmp_path):
    status, output, errors = call("cost", PLAIN, "--nolatency", "--out=there", cwd=tmp_path)
    assert (status, errors) == (0, "")
    golden.check("cost", output)
    lines = output.splitlines()
    assert re.fullmatch(rf"{PLAIN}: -\d+ % peak memory \(counted\) against its residual twin\.", lines[0])
    assert lines[-1] == "next: keras-kd distill --student=cifar_resnet:8:width=4:shortcuts=none"
    found = json.loads((tmp_path / "there" / "costs.json").read_text())
    plain, twin = found["networks"]
    assert plain["multiply_adds"] == twin["multiply_adds"]
    assert plain["peak"]["float32"] < twin["peak"]["float32"]
    assert found["answers"] == lines[:1]
    page = (tmp_path / "there" / "costs.html").read_text()
    assert f'<p class="answer">{lines[0]}' in page or f"<li>{lines[0]}" in page


def test_what_cannot_be_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([], "give a network, as in keras-kd cost plain20"),
        (["vgg16"], "networks have names such as resnet20"),
        (["none.keras"], "there is no file 'none.keras'"),
        (["empty"], "empty holds no finished run of distill or train"),
        ([PLAIN, PLAIN], "networks must hold each value once"),
        (["a\nb.keras"], "the network has a line break or control character in it"),
    ):
        status, output, errors = call("cost", *arguments, "--nolatency", cwd=tmp_path)
        assert (status, output, errors.count("\n")) == (1, "", 1)
        assert message in errors


@pytest.mark.parametrize(
    "command", [("cost", PLAIN, "--nolatency"), ("export", "--cost", f"--networks={PLAIN}")]
)
@pytest.mark.parametrize("out", ["file", "file/there", "locked/there"])
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_measured(
    command, out, tmp_path, monkeypatch
):
    def measured(*_):
        raise AssertionError("it began")

    monkeypatch.setattr(cost_card, "set_threads", lambda threads: None)  # this process has run TensorFlow
    monkeypatch.setattr(cost_networks, "with_twins", measured)
    monkeypatch.setattr(cost_networks, "named", measured)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "locked" / "there").mkdir(parents=True)
    (tmp_path / "locked").chmod(0o500)  # the lock of the folder there lies beside it
    if out.startswith("locked") and os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("this user may write anywhere")
    status, _, errors = call(*command, f"--out={out}", cwd=tmp_path)
    assert (status, errors.count("\n")) == (1, 1)
    assert re.search(f"cannot write to .*: choose another --out than {out}", errors)


def test_the_folder_that_one_is_in_may_get_the_page(tmp_path):
    place = tmp_path / "here"
    place.mkdir()
    status, _, errors = call("cost", PLAIN, "--nolatency", "--out=.", cwd=place)
    assert (status, errors) == (0, "")
    assert (place / "costs.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
