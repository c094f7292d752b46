"""Each interval in a study's result holds the truth as often as it says, over simulated studies."""

import dataclasses
import math

import numpy as np
import pytest

from keras_kd.study.design import Run, Teacher
from keras_kd.study.findings import summary
from keras_kd.study.runner import RunRecord
from keras_kd.utils.recovery import Recovery
from keras_kd.utils.statistics import Estimate
from tests.support.studies import run_result

NOISE, LEVEL = 0.004, 0.95

CLAIMS = ("C1", "C3", "C4", "control")


def accuracies(seeds):
    """`{run: its accuracy without luck}`: three teachers, two depths, a drop at each."""
    found = {}
    for seed in range(seeds):
        for depth, drop in ((20, 0.05), (32, 0.2)):
            twin = Run(depth, "residual", width=8, seed=seed)
            others = (Run(8, "residual", width=4, seed=seed), Run(44, "residual", width=8, seed=seed))
            found |= {twin: 0.9, others[0]: 0.6, others[1]: 0.95}
            for teacher, gain in (
                (Teacher(twin), 0.02),
                (Teacher(others[0]), -0.01),
                (Teacher(others[1]), 0.04),
                (Teacher(twin, "shuffled"), 0.005),
            ):
                run = Run(depth, "plain + KD", width=8, seed=seed, teacher=teacher)
                found |= {run.alone: 0.9 - drop, run: 0.9 - drop + gain}
    return found


def summarized(found, rng=None):
    luck = NOISE if rng else 0.0
    lucky = {run: accuracy + (luck * rng.normal() if rng else 0.0) for run, accuracy in found.items()}
    study = {run: RunRecord(run, run_result(accuracy)) for run, accuracy in lucky.items()}
    return summary.summarize(study, CLAIMS, margin=0.01, test_examples=100_000)


def intervals(record, place=""):
    """`{place: record}` of all within a dataclass that have an interval."""
    found = {place: record} if isinstance(record, (Estimate, Recovery)) else {}
    if dataclasses.is_dataclass(record):
        for field in dataclasses.fields(record):
            found |= intervals(getattr(record, field.name), f"{place}/{field.name}")
    elif isinstance(record, (list, tuple)):
        for number, each in enumerate(record):
            found |= intervals(each, f"{place}/{number}")
    return found


def centre(record):
    return record.ratio if isinstance(record, Recovery) else record.mean


@pytest.mark.parametrize(
    ("seeds", "studies"),
    [(5, 40), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((3, 300), (5, 300), (8, 150)))],
)
def test_every_interval_of_a_study_holds_the_truth(rng, seeds, studies):
    runs = accuracies(seeds)
    truth = {place: centre(each) for place, each in intervals(summarized(runs)).items()}
    kinds = {place.split("/")[1] for place in truth}
    assert kinds == {"verdicts", "conditions", "gains", "recoveries", "slope"}
    covered = {place: [] for place in truth}
    for _ in range(studies):
        for place, each in intervals(summarized(runs, rng)).items():
            covered[place].append(each.low <= truth[place] <= each.high)
    tolerance = 4 * math.sqrt(LEVEL * (1 - LEVEL) / studies)
    for place, held in covered.items():
        assert abs(np.mean(held) - LEVEL) < tolerance, place
