"""`reuse` as a person types it, on networks that no training made."""

import dataclasses
import json
import re

import numpy as np
import pytest
from absl import flags

from keras_kd.analysis import reuse
from keras_kd.cli import reuse as command
from keras_kd.utils import files
from tests.support import golden
from tests.support.analyses import REUSE, untrained_run
from tests.support.arrays import tiny_arrays
from tests.support.commands import call
from tests.support.processes import error_line


def script(run, *arguments):
    return call("reuse", f"--run={run}", *REUSE, *arguments, cwd=run.parent)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return untrained_run(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def output(run):
    status, output, errors = script(run)
    assert status == 0, errors
    return output


@pytest.mark.slow
def test_what_the_terminal_shows(output):
    golden.check("reuse", output)


@pytest.mark.slow
def test_one_flag_leads_to_a_page(run, output):
    paths = dict(re.findall(r"^(page|pictures|tensorboard|result) +(\S+)$", output, re.M))
    assert paths["page"] == str(run / "reuse" / "reuse.html")
    assert f"keras-kd reuse --run={run}" in (run / "reuse" / "reuse.html").read_text(encoding="utf-8")
    pictures = {path.stem for path in (run / "reuse" / "pictures").iterdir()}
    assert pictures == {"cka", "lesions", "many", "branches", "probes", "ranks", "spectra"}


@pytest.mark.slow
def test_what_was_found_comes_first_and_the_next_command_last(run, output):
    first, basis, *_, last = output.splitlines()
    compared = "student distilled or student alone more accuracy: "
    assert re.match(
        f"(Undecided whether a silenced block costs {compared}|A silenced block costs stud)", first
    )
    assert basis == (
        "Means over blocks. One seed: the intervals are over 24 images (95 %); another seed would give other "
        "numbers."
    )
    assert last == f"next: keras-kd landscape --run={run}"
    page = (run / "reuse" / "reuse.html").read_text(encoding="utf-8")
    assert page.index(first.partition(":")[0]) < page.index("One block silenced") < page.index("In numbers")
    (run / "landscape").mkdir()
    (run / "landscape" / "result.json").write_text("{}")
    status, again, errors = script(run)
    assert status == 0, errors
    assert again.splitlines()[-1] == f"next: keras-kd export --model={run / 'student.keras'}"


@pytest.mark.slow
def test_a_run_with_a_teacher_of_other_layers_needs_no_further_flag(run, output):
    remark = "teacher has no blocks, as none of its layers is named like stage1_block1_conv1: all its layers"
    assert remark in output
    assert remark in (run / "reuse" / "reuse.html").read_text(encoding="utf-8")
    (group,) = json.loads((run / "reuse" / "result.json").read_text())["groups"]
    assert ["lesions" in network for network in group["networks"]] == [False, True, True]
    arrays = files.read_arrays(run / "reuse" / reuse.ARRAYS)
    np.testing.assert_array_equal(arrays["probes/student distilled/values"], group["networks"][2]["probes"])
    drawn_with = np.random.SeedSequence([0, group["seed"]]).generate_state(1)[0]
    assert json.loads(str(arrays["identity"]))["seed"] == drawn_with


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch_size=6"], "flag --batch_size=6"),
        (["--layers=conv9"], "the layers must be 'blocks', 'all' or names of layers of"),
        (["--layers=,"], "must not hold an empty value"),
        (["--probe_examples=1"], "probe_examples=1: a probe needs training examples of at least"),
        (["--dataset=other.npz"], "the dataset 'other.npz' is not the one of"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run, arguments, message):
    other = tiny_arrays(np.random.default_rng(1), shape=(8, 8, 1))
    np.savez(run.parent / "other.npz", **other)
    status, _, errors = script(run, *arguments, "--out=bad")
    assert status == 1
    assert message in error_line(errors)
    assert not (run.parent / "bad").exists()


def test_flags_have_the_defaults_of_the_library():
    values = flags.FlagValues()
    command.define_flags(values)
    for field in dataclasses.fields(reuse.ReuseConfig):
        assert values[field.name].default == field.default
