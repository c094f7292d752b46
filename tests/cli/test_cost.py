"""`cost`, which needs no run."""

import json
import re

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
    ):
        status, output, errors = call("cost", *arguments, "--nolatency", cwd=tmp_path)
        assert (status, output, errors.count("\n")) == (1, "", 1)
        assert message in errors
