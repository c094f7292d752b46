"""Recovery against the definition of Fieller's interval, and what is not defined."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats

from keras_kd.utils import recovery, statistics

RESIDUAL = np.array([0.95, 0.94, 0.96, 0.95])
PLAIN = np.array([0.90, 0.91, 0.90, 0.89])
TAUGHT = np.array([0.93, 0.92, 0.93, 0.94])


def test_the_definitions():
    assert recovery.drop(0.9, 0.8) == pytest.approx(0.1)
    assert recovery.gain(0.85, 0.8) == pytest.approx(0.05)


def test_recovery_is_the_ratio_of_means():
    found = recovery.over_seeds(RESIDUAL, PLAIN, TAUGHT)
    assert found.ratio == pytest.approx(np.mean(TAUGHT - PLAIN) / np.mean(RESIDUAL - PLAIN))
    assert found.drop == statistics.estimate(RESIDUAL - PLAIN)
    assert found.gain == statistics.estimate(TAUGHT - PLAIN)
    assert found.is_defined


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_ends_are_where_students_test_just_rejects(confidence):
    """Fieller's interval holds each ratio r for which mean(gain - r drop) = 0 is not rejected."""
    found = recovery.over_seeds(RESIDUAL, PLAIN, TAUGHT, confidence)

    def surplus(ratio):
        return stats.ttest_1samp((TAUGHT - PLAIN) - ratio * (RESIDUAL - PLAIN), 0).pvalue - (1 - confidence)

    ends = (optimize.brentq(surplus, -5, found.ratio), optimize.brentq(surplus, found.ratio, 5))
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-9)


@pytest.mark.parametrize(
    ("residual", "plain"),
    [
        (PLAIN + np.array([0.01, -0.01, 0.0, 0.02]), PLAIN),  # a drop that may be none
        (PLAIN, RESIDUAL),  # the plain networks are better
        (PLAIN, PLAIN),
        (RESIDUAL[:1], PLAIN[:1]),  # one seed
    ],
)
def test_recovery_of_no_drop_is_not_defined(residual, plain):
    found = recovery.over_seeds(residual, plain, TAUGHT[: len(plain)])
    assert not found.is_defined
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_few_equal_drops_do_not_show_a_drop():
    one = 1 / 360
    equal = (PLAIN + one, PLAIN, PLAIN)
    assert recovery.over_seeds(*equal).is_defined
    assert not recovery.over_seeds(*equal, resolution=one).is_defined


def right_of(counts):
    """Bools of three networks from `{pattern of right and wrong: images}`."""
    rows = [pattern for pattern, count in counts.items() for _ in range(count)]
    return np.array(rows, bool).T


def test_over_images_is_the_ratio_of_counts():
    counts = {(1, 1, 1): 300, (1, 0, 1): 20, (1, 0, 0): 20, (0, 1, 1): 6, (0, 0, 0): 14}
    found = recovery.over_images(*right_of(counts))
    assert (found.drop.mean, found.gain.mean) == pytest.approx((34 / 360, 20 / 360))
    assert found.ratio == pytest.approx(20 / 34)
    assert found.low < 20 / 34 < found.high
    assert found.drop.count == 360


def test_the_interval_over_images_adds_half_an_image_to_each_pattern_of_two_networks():
    """Agresti & Min 2005: with b and c images that one alone classifies right, of n."""
    b, c, n = 9, 3, 120
    found = recovery.over_images(*right_of({(1, 1, 1): n - b - c, (1, 0, 0): b, (0, 1, 1): c}))
    b, c, n = b + 0.5, c + 0.5, n + 2
    mean, error = (b - c) / n, math.sqrt((b + c - (b - c) ** 2 / n) / (n * (n - 1)))
    reach = stats.t.ppf(0.975, n - 1) * error
    assert (found.drop.low, found.drop.high) == pytest.approx((mean - reach, mean + reach))


def test_what_a_single_run_cannot_tell_is_not_defined():
    """A drop of 1 point on 360 images, recovery 0: rarely a ratio, and hardly ever one that leaves out 0."""
    rng = np.random.default_rng(0)
    shown = far = 0
    for _ in range(300):
        alone = rng.uniform(size=360) < 0.97
        lucky = rng.uniform(size=(2, 360)) < 0.02
        residual = np.where(alone, ~lucky[0], rng.uniform(size=360) < (0.01 + 0.02 * 0.97) / 0.03)
        taught = np.where(alone, ~lucky[1], rng.uniform(size=360) < 0.02 * 0.97 / 0.03)
        found = recovery.over_images(residual, alone, taught)
        shown += found.is_defined
        far += found.is_defined and not found.low <= 0 <= found.high
    assert shown < 0.2 * 300
    assert far < 0.04 * 300


def test_networks_that_agree_on_all_images_are_not_known_to_be_equal():
    right = np.ones((3, 50), bool)
    found = recovery.over_images(*right)
    assert found.drop.low < 0 < found.drop.high
    assert found.drop.mean == 0
    assert not found.is_defined


def test_all_patterns_count_alike():
    patterns = np.array(list(itertools.product((0, 1), repeat=3)), bool).T
    found = recovery.over_images(*np.repeat(patterns, 10, axis=1))
    assert found.drop.mean == found.gain.mean == 0
    assert found.drop.low == pytest.approx(-found.drop.high)
