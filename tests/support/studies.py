"""Small studies: the records of one that was never trained, and a file of one that is quickly trained."""

import csv

import numpy as np

from keras_kd.study.design import Run, Teacher
from keras_kd.study.findings import claims, summary
from keras_kd.study.findings.results import StudyResult
from keras_kd.study.run_result import RunResult
from keras_kd.study.runner import RunRecord
from tests.support.arrays import tiny_arrays

SEEDS = range(3)


def run_result(accuracy, curve=(0.5,), seconds=1.5):
    """What a run measured that was never trained."""
    return RunResult(
        accuracy=accuracy,
        loss=0.1,
        validation_accuracy=curve[-1],
        parameters=10,
        start="",
        seconds=seconds,
        history={"val_accuracy": list(curve)},
    )


def records(failed=()):
    """A small study with a drop at depth 32 alone; seed by seed."""
    rng = np.random.default_rng(0)
    found = {}
    for seed in SEEDS:
        for depth, drop in ((20, -0.02), (32, 0.1)):
            twin = Run(depth, "residual", width=8, seed=seed)
            small = Run(8, "residual", width=4, seed=seed)
            taught = [
                Run(depth, "plain + KD", width=8, seed=seed, teacher=teacher, alpha_epochs=stays)
                for teacher in (Teacher(twin), Teacher(small), Teacher(twin, "shuffled"))
                for stays in (0, 2)
            ]
            truth = {small: 0.8, twin: 0.95, taught[0].alone: 0.95 - drop}
            truth |= dict.fromkeys(taught, 0.94 - drop / 3)
            for run, accuracy in truth.items():
                accuracy += 0.005 * rng.normal()
                curve = [accuracy / 2, accuracy - 0.01 * rng.random()]
                record = RunRecord(run, run_result(accuracy, curve))
                found.setdefault(run, RunRecord(run, error="no <luck>") if run.key in failed else record)
    return found


FAILED = "p32w8-kd-r8w4-T4-a0.9-k2-s2"


def found_of(study_records, names=tuple(claims.CLAIMS)):
    """The `StudyResult` of such records."""
    description = {
        "settings": {"epochs": 2, "learning_rate": 0.02, "batch_size": 64, "seed": 0},
        "dataset": {
            "name": "digits",
            "fingerprint": "0" * 16,
            "examples": {"train": 1293, "validation": 144, "test": 360},
            "image_shape": [8, 8, 1],
        },
        "versions": {"keras": "3.15.1"},
        "machine": {"system": "Linux", "cores": 2},
    }
    return StudyResult(
        study="tried",
        question="Is <this> so?",
        claims=tuple(names),
        command="python -m experiments.study --study=tried",
        seeds=tuple(SEEDS),
        margin=0.01,
        description=description,
        summary=summary.summarize(study_records, names, margin=0.01, test_examples=360),
    )


STUDY_FILE = """\
question: Does it run?
claims: [C1, C3]
dataset: tiny.npz
seeds: 2
recipe: {epochs: 3, batch_size: 24, deterministic: true, strategy: none}
network: {width: 4}
teachers:
  twin: {variant: residual}
runs:
  - {depth: 8, variant: [residual, plain]}
  - {depth: 8, variant: plain + KD, teacher: twin}
"""
STUDY_RUNS = 6


def study_folder(tmp_path_factory, name):
    cwd = tmp_path_factory.mktemp(name)
    np.savez(cwd / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    (cwd / "mine.yaml").write_text(STUDY_FILE)
    return cwd


def study_table(cwd):
    """`results.csv` without its times."""
    with (cwd / "runs" / "mine" / "results.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]
