"""Runs of one study that another takes over."""

import json

import pytest

from keras_kd.study import runner, taken_runs
from keras_kd.study.design import Run, Teacher
from keras_kd.study.runner import Study
from tests.support.studies import run_result

TWIN = Run(20, "residual")
ALONE = Run(20, "plain")
TAUGHT = Run(20, "plain + KD", teacher=Teacher(TWIN))

IDENTITY = {
    "dataset": {"name": "here.npz", "fingerprint": "f"},
    "settings": {"epochs": 2},
    "claims": ["R1"],
    "margin": 0.01,
}


def begun(folder, runs, identity=IDENTITY, done=()):
    study = Study(folder, runs, identity)
    study.begin()
    for run in done:
        runner.execute(lambda run, folder: run_result(0.9), run, folder)
    return study


def test_ended_runs_are_taken_and_not_trained_again(tmp_path):
    begun(tmp_path / "one", [TWIN, ALONE, TAUGHT], done=[TWIN, TAUGHT])
    others = {**IDENTITY, "claims": ["C1"], "margin": 0.02}
    others["dataset"] = {"name": "elsewhere.npz", "fingerprint": "f"}
    study = begun(tmp_path / "two", [TWIN, ALONE], others)
    assert taken_runs.take(study, tmp_path / "one") == [TWIN]
    assert study.record(TWIN).result == run_result(0.9)
    assert study.record(ALONE) is None
    assert taken_runs.take(study, tmp_path / "one") == []  # it is there
    assert not list((tmp_path / "two" / "runs").glob(".*"))


def test_runs_of_another_recipe_or_of_other_axes_are_refused(tmp_path):
    begun(tmp_path / "one", [TWIN], done=[TWIN])
    study = begun(tmp_path / "two", [TWIN], IDENTITY | {"settings": {"epochs": 3}})
    with pytest.raises(ValueError, match="has runs of another kind: settings.epochs was 2 and is 3"):
        taken_runs.take(study, tmp_path / "one")
    with pytest.raises(ValueError, match="runs can be taken from the folder of a study. Received: '.*none'"):
        taken_runs.take(study, tmp_path / "none")
    study = begun(tmp_path / "three", [TWIN])
    flags = tmp_path / "one" / "runs" / TWIN.key / "flags.cfg"
    flags.write_text(flags.read_text().replace("--depth=20", "--depth=26"))
    with pytest.raises(ValueError, match="--depth was 26 and is 20"):
        taken_runs.take(study, tmp_path / "one")


@pytest.mark.parametrize("run", [TWIN, TAUGHT], ids=lambda run: run.condition)
def test_runs_of_earlier_versions_said_no_loss(tmp_path, run):
    begun(tmp_path, [TWIN, TAUGHT], done=[run])
    folder = tmp_path / "runs" / run.key
    lines = (folder / "flags.cfg").read_text().splitlines(keepends=True)
    (folder / "flags.cfg").write_text("".join(line for line in lines if "distillation_loss" not in line))
    runner.run_folder(folder, run).check_flags()
    assert json.loads((folder / "result.json").read_text())["accuracy"] == 0.9
