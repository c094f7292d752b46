"""`landscape` as a person types it, on what the main job left."""

import dataclasses
import json
import re
import shutil

import pytest
from absl import flags
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_kd.analysis import landscape
from keras_kd.cli import landscape as command
from tests.support import golden
from tests.support.commands import call
from tests.support.processes import error_line
from tests.support.runs import SEED, finished_run

SMALL = (
    "--steps=3",
    "--hessian_steps=1",
    "--eigenvalues=1",
    "--trace_samples=2",
    "--snapshots=2",
    "--examples=24",
)


def script(*arguments, cwd):
    return call("landscape", "--run=runs/first", *SMALL, *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the main job and this command have run; `(cwd, output)`."""
    cwd, _ = finished_run(tmp_path_factory)
    status, output, errors = script(cwd=cwd)
    assert status == 0, errors
    return cwd, output


@pytest.mark.slow
def test_what_the_terminal_shows(finished):
    golden.check("landscape", finished[1])


@pytest.mark.slow
def test_one_flag_leads_to_a_page(finished):
    cwd, output = finished
    for label in ("teacher", "student alone", "student distilled"):
        assert label in output
    paths = dict(re.findall(r"^(page|pictures|tensorboard|result) +(\S+)$", output, re.M))
    assert paths["page"] == "runs/first/landscape/landscape.html"
    assert all((cwd / path).exists() for path in paths.values())
    page = (cwd / paths["page"]).read_text(encoding="utf-8")
    assert "keras-kd landscape --run=runs/first" in page
    pictures = {path.stem for path in (cwd / paths["pictures"]).iterdir()}
    assert pictures == {"around", "way", "through", "lines", "training", "spectra", "steps"}
    events = EventAccumulator(str(cwd / paths["tensorboard"]))
    events.Reload()
    assert {f"pictures/landscape/{picture}" for picture in pictures} <= set(events.Tags()["tensors"])


@pytest.mark.slow
def test_every_array_is_stored(finished):
    cwd, _ = finished
    names = {path.stem for path in (cwd / "runs" / "first" / "landscape").glob("*.npz")}
    labels = ("teacher", "student-alone", "student-distilled")
    kinds = [f"{kind}-{label}" for kind in ("around", "the-way-of", "hessian-around") for label in labels]
    assert names >= set(kinds)
    result = json.loads((cwd / "runs" / "first" / "landscape" / "result.json").read_text())
    (group,) = result["groups"]
    assert (group["seed"], result["dataset"]) == (SEED, "tiny.npz")
    assert [plane["kind"] for plane in group["planes"]] == ["around"] * 3 + ["through"] * 2 + ["way"] * 3


@pytest.mark.slow
def test_finished_work_is_not_done_again(finished):
    cwd, _ = finished
    path = cwd / "runs" / "first" / "landscape" / "group.json"
    before = path.stat().st_mtime_ns
    status, output, errors = script(cwd=cwd)
    assert status == 0, errors
    assert "student distilled" in output
    assert path.stat().st_mtime_ns == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps=4"], "steps must be odd and at least 3, so that the centre is sampled. Received: 4"),
        (["--steps=5"], "was begun with other flags: --steps was 3 and is 5"),
        (["--hessian_steps=2", "--out=x"], "hessian_steps must be odd, so that the centre"),
        (["--run=runs/none"], "runs/none holds no finished run of train, distill or study"),
        (["--run="], "run is empty: give it a value"),
        (["--examples=2", "--out=x"], "--examples must be 0, or at least 8. Received: --examples=2"),
        (["--depths=20"], "depths, seeds and shortcut_removals choose among the networks of a study"),
        (["--shortcut_removals=fade"], "choose among the networks of a study, which runs/first is not"),
        (["--out=runs/first", "--overwrite"], "runs/first holds the run that is analyzed"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(finished, arguments, message):
    cwd, _ = finished
    status, _, errors = script(*arguments, cwd=cwd)
    assert status == 1
    assert message in error_line(errors)
    assert not (cwd / "x").exists()


@pytest.mark.slow
def test_other_networks_in_the_same_place_are_refused_and_nothing_is_lost(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "copy")
    run = tmp_path / "copy" / "runs" / "first"
    shutil.copy(run / "teacher.keras", run / "student.keras")
    before = (run / "landscape" / "result.json").read_bytes()
    status, _, errors = script(cwd=tmp_path / "copy")
    assert status == 1
    assert "landscape was made of something else: student distilled was" in error_line(errors)
    assert "choose another --out, or pass --overwrite" in error_line(errors)
    (run / "landscape" / "group.json").unlink()  # as a kill before the end leaves it
    status, _, errors = script(cwd=tmp_path / "copy")
    assert status == 1
    assert "around-student-distilled.npz was made of something else" in error_line(errors)
    assert (run / "landscape" / "result.json").read_bytes() == before


def test_flags_have_the_defaults_of_the_library():
    values = flags.FlagValues()
    command.define_flags(values)
    for field in dataclasses.fields(landscape.LandscapeConfig):
        if field.name != "step_sizes":
            assert values[field.name].default == field.default
