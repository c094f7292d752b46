"""How sure the intervals of an analysis are: each alone, and all that stand on a page together."""

import math

import numpy as np
import pytest
from scipy import stats

from keras_kd.analysis import answers
from keras_kd.utils import statistics


def test_independent_intervals_hold_at_once_by_the_closed_form():
    for count in (1, 3, 40):
        each = statistics.simultaneous(count, 0.9)
        assert each == pytest.approx(1 - 0.1 / count)
        assert 0.9 <= each**count <= 0.9 + 0.005  # of independent ones Sidak's bound is exact


def test_half_the_risk_is_that_of_the_table():
    assert answers.confidence(1) == pytest.approx(0.95)
    assert answers.confidence(3) == pytest.approx(1 - 0.05 / 3)
    assert answers.confidence(3, others=48) == pytest.approx(1 - 0.025 / 3)
    assert 3 * (1 - answers.confidence(3, 48)) + 48 * (1 - answers.confidence(48, 1)) == pytest.approx(0.05)


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_all_intervals_of_a_page_hold_in_95_of_100_simulated_studies(shared):
    """Three seeds, twenty measures, as dependent as those of the same networks are."""
    rng = np.random.default_rng(0)
    studies, seeds, measures = 4000, 3, 20
    common = rng.normal(size=(studies, seeds, 1))
    values = shared * common + math.sqrt(1 - shared**2) * rng.normal(size=(studies, seeds, measures))
    confidence = answers.confidence(measures)
    low, high = statistics.student_interval(values.mean(1), values.std(1, ddof=1), seeds, confidence)
    hold = ((low <= 0) & (high >= 0)).all(axis=1).mean()
    assert 0.94 < hold < 0.99
    low, high = statistics.student_interval(values.mean(1), values.std(1, ddof=1), seeds)
    assert ((low <= 0) & (high >= 0)).all(axis=1).mean() < 0.85  # uncorrected, as they were


@pytest.mark.parametrize("eigenvalues", [4, 40])
def test_a_ratio_of_curvatures_is_within_its_interval_as_often_as_it_says(eigenvalues):
    """d'Hd along random directions, with so many equal eigenvalues, three times as large in one."""
    rng = np.random.default_rng(1)
    hits, studies = 0, 1000
    for _ in range(studies):
        other = stats.chi2.rvs(eigenvalues, size=20, random_state=rng)
        one = 3.0 * (0.5 * other + 0.5 * stats.chi2.rvs(eigenvalues, size=20, random_state=rng))
        found = answers.ratio_of_means(one, other, 0.95)
        hits += found is not None and found[1] <= 3.0 <= found[2]
    assert 0.92 < hits / studies < 0.97


def test_a_ratio_to_what_may_be_0_is_not_told():
    assert answers.ratio_of_means([1.0, 2.0, 3.0], [1.0, -1.0, 0.5], 0.95) is None
    assert answers.mean_ratio([1.0, 2.0], [1.0, 0.0], 0.95) is None
    assert answers.mean_ratio([2.0, 8.0], [1.0, 1.0], 0.95)[0] == pytest.approx(4.0)


def test_the_mean_ratio_over_seeds_has_the_interval_of_its_logarithms():
    one, other = np.array([2.0, 3.0, 5.0]), np.array([1.0, 1.5, 1.0])
    wanted = stats.t.interval(0.95, 2, np.log(one / other).mean(), stats.sem(np.log(one / other)))
    ratio, low, high = answers.mean_ratio(one, other, 0.95)
    assert (low, high) == pytest.approx(tuple(np.exp(wanted)))
    assert ratio == pytest.approx((2 * 2 * 5) ** (1 / 3))
