"""Each interval that is printed holds the truth as often as it says, in simulated studies and test sets."""

import math

import numpy as np
import pytest

from keras_kd.utils import recovery, statistics

LEVELS = (0.9, 0.95)

RUNS = [pytest.param(300, id="few"), pytest.param(4000, id="many", marks=pytest.mark.slow)]


def check(covered, level, exact=True):
    """The share of covered truths is nominal but for chance; above it where the interval is not exact."""
    tolerance = 3.5 * math.sqrt(level * (1 - level) / len(covered))
    assert np.mean(covered) >= level - tolerance
    if exact:
        assert np.mean(covered) <= level + tolerance


def holds(interval, truth):
    return interval.low <= truth <= interval.high


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
def test_means_over_seeds(rng, seeds, level, runs):
    samples = rng.normal(0.9, 0.02, (runs, seeds))
    check([holds(statistics.estimate(each, level), 0.9) for each in samples], level)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("accuracy", "seeds"), [(0.5, 3), (0.95, 3), (0.995, 3), (0.995, 8)])
def test_accuracies_that_are_whole_numbers_of_images(rng, accuracy, seeds, level, runs):
    """Of 200 images, where two or three accuracies are often equal."""
    samples = rng.binomial(200, accuracy, (runs, seeds)) / 200
    covered = [holds(statistics.estimate(each, level, resolution=1 / 200), accuracy) for each in samples]
    check(covered, level, exact=False)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_differences_over_seeds(rng, seeds, level, runs):
    """Paired differences, as gains are: what both networks share drops out."""
    shared = rng.normal(0.8, 0.1, (runs, seeds))
    taught, alone = shared + rng.normal(0.03, 0.01, shared.shape), shared + rng.normal(0, 0.01, shared.shape)
    found = [statistics.compare(each, level).difference for each in taught - alone]
    check([holds(each, 0.03) for each in found], level)


def study(rng, runs, seeds, drop, gain):
    """Accuracies `[runs, seeds]` of residual, plain and taught networks, in units of their deviation."""
    return (mean + rng.normal(size=(runs, seeds)) for mean in (drop, 0.0, gain))


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_recovery_over_seeds(rng, seeds, level, runs):
    """A drop that all studies find: each has an interval, and it holds as it says."""
    found = [
        recovery.over_seeds(*each, level)
        for each in zip(*study(rng, runs, seeds, drop=25, gain=10), strict=True)
    ]
    assert all(each.is_defined for each in found)
    check([holds(each, 0.4) for each in found], level)
    check([holds(each.drop, 25) for each in found], level)
    check([holds(each.gain, 10) for each in found], level)


@pytest.mark.parametrize("runs", [RUNS[0], pytest.param(2000, id="many", marks=pytest.mark.slow)])
@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize("drop", [0.5, 1.5, 3.0])
def test_recovery_where_some_studies_find_no_drop(rng, drop, seeds, runs):
    """What is not defined rules out nothing: over all studies the level holds, and over those with a drop."""
    found = [
        recovery.over_seeds(*each, 0.95)
        for each in zip(*study(rng, runs, seeds, drop=drop, gain=0.4 * drop), strict=True)
    ]
    check([not each.is_defined or holds(each, 0.4) for each in found], 0.95, exact=False)
    check([holds(each, 0.4) for each in found if each.is_defined], 0.95, exact=False)


@pytest.mark.parametrize("runs", [RUNS[0], pytest.param(2000, id="many", marks=pytest.mark.slow)])
@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize("drop", [0.0, -1.0])
def test_recovery_without_a_drop_is_hardly_ever_defined(rng, drop, seeds, runs):
    found = [
        recovery.over_seeds(*each, 0.95)
        for each in zip(*study(rng, runs, seeds, drop=drop, gain=1.0), strict=True)
    ]
    check([not each.is_defined for each in found], 0.975, exact=drop == 0)


@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("images", "accuracy", "drop", "gain", "changed"),
    [
        (90, 0.9, 0.05, 0.02, 0.03),
        (360, 0.97, 0.01, 0.0, 0.005),
        (360, 0.97, 0.01, 0.0, 0.02),
        (360, 0.8, 0.1, 0.05, 0.05),
        (1000, 0.5, 0.2, 0.25, 0.1),
    ],
)
def test_effects_over_images(rng, images, accuracy, drop, gain, changed, level, runs):
    """Test sets drawn for three networks: each loses a share of the student's images and wins others."""
    drops, gains, recoveries = [], [], []
    for _ in range(runs):
        plain = rng.uniform(size=images) < accuracy
        residual, taught = (
            np.where(
                plain,
                rng.uniform(size=images) >= changed,
                rng.uniform(size=images) < (effect + changed * accuracy) / (1 - accuracy),
            )
            for effect in (drop, gain)
        )
        found = recovery.over_images(residual, plain, taught, level)
        drops.append(holds(found.drop, drop))
        gains.append(holds(found.gain, gain))
        recoveries.append(not found.is_defined or holds(found, gain / drop))
    for covered in (drops, gains, recoveries):
        check(covered, level, exact=False)
