"""Each statistic against SciPy, a closed form, or simulated data whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from keras_kd.utils import statistics


def test_an_estimate_is_students_interval(rng):
    values = rng.normal(3, 2, 7)
    found = statistics.estimate(values, 0.9)
    low, high = stats.t.interval(0.9, 6, values.mean(), stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), low, high))
    assert (found.deviation, found.count) == pytest.approx((values.std(ddof=1), 7))
    assert math.isnan(statistics.estimate([2.0]).low)
    assert not statistics.estimate([2.0]).excludes_zero
    assert statistics.estimate([1.0, 1.1, 0.9]).excludes_zero
    assert not statistics.estimate([1.0, -1.1, 0.9]).excludes_zero


def test_few_equal_accuracies_do_not_show_that_seeds_make_no_difference():
    """The interval believes in a deviation of one image at the least, as the one-sided test does."""
    image = 1 / 360
    found = statistics.estimate([0.975, 0.975, 0.975], resolution=image)
    half = stats.t.ppf(0.975, 2) * image / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.975 - half, 0.975 + half))
    assert found.deviation == 0
    wide = [0.9, 0.95, 0.97]
    assert statistics.estimate(wide, resolution=image) == statistics.estimate(wide)
    differences = [image, image, image]
    assert not statistics.compare(differences, resolution=image).difference.excludes_zero


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_what_is_no_number_is_named(values):
    with pytest.raises(ValueError, match="finite numbers are needed, at least one. Received"):
        statistics.estimate(values)


def test_the_sign_flip_test_is_scipys_permutation_test(rng):
    for count in (3, 5, 8):
        differences = rng.normal(0.5, 1.0, count)
        expected = stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
        p_value, smallest = statistics.sign_flip_test(differences)
        assert p_value == pytest.approx(expected)
        assert smallest == 2 / 2**count


def test_five_seeds_reach_a_sixteenth_at_best():
    assert statistics.sign_flip_test([1.0, 2.0, 0.1, 3.0, 0.5]) == (1 / 16, 1 / 16)
    assert statistics.sign_flip_test([0.0, 0.0, 0.0])[0] == 1.0


def test_many_pairs_are_drawn(rng):
    differences = rng.normal(0.0, 1.0, 40)
    p_value, smallest = statistics.sign_flip_test(differences)
    assert p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    assert statistics.sign_flip_test(np.ones(40))[0] == smallest


def test_the_sign_flip_test_is_wrong_at_most_as_often_as_it_says(rng):
    """Also where the differences are as far from normal as accuracies on few images are."""
    samples = rng.choice([-1.0, 0.0, 0.0, 1.0], (600, 7))
    wrong = np.mean([statistics.sign_flip_test(sample)[0] <= 0.05 for sample in samples])
    assert wrong <= 0.05 + 0.02


def test_a_comparison_has_an_effect_size(rng):
    differences = rng.normal(1.0, 0.5, 6)
    found = statistics.compare(differences)
    assert found.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.p_value == statistics.sign_flip_test(differences)[0]


@pytest.mark.parametrize("differences", [[1.0, 1.0], [0.3 - 0.2, 0.2 - 0.1, 0.4 - 0.3]])
def test_differences_without_spread_have_no_effect_size(differences):
    assert math.isnan(statistics.compare(differences).effect_size)


def test_an_effect_size_does_not_believe_in_less_spread_than_one_image():
    image = 1 / 360
    differences = [0.0, image / 2, image]
    assert math.isnan(statistics.compare(differences, resolution=image).effect_size)
    assert statistics.compare(differences).effect_size == pytest.approx(1.0)


@pytest.mark.parametrize(("effect", "power"), [(1.0, 0.8), (0.5, 0.8), (2.0, 0.9)])
def test_the_seeds_needed_give_the_power(rng, effect, power):
    count = statistics.seeds_needed(effect, 1.0, power)

    def share_found(count):
        samples = rng.normal(effect, 1.0, (4000, count))
        return np.mean(stats.ttest_1samp(samples, 0, axis=1).pvalue <= 0.05)

    assert share_found(count) >= power - 0.02
    assert share_found(count - 1) < power + 0.02


def test_known_numbers_of_seeds():
    """G*Power 3.1: paired t test, two tails."""
    assert statistics.seeds_needed(0.5, 1.0) == 34
    assert statistics.seeds_needed(0.8, 1.0) == 15
    with pytest.raises(ValueError, match="more than 10000 seeds"):
        statistics.seeds_needed(1e-4, 1.0)
    with pytest.raises(ValueError, match="effect and deviation must be > 0"):
        statistics.seeds_needed(0.0, 1.0)


def test_a_line_is_scipys(rng):
    x = rng.normal(size=12)
    y = 2 * x + 1 + rng.normal(scale=0.1, size=12)
    found, fit = statistics.line(x, y), stats.linregress(x, y)
    assert (found.slope, found.intercept) == pytest.approx((fit.slope, fit.intercept))
    assert found.explained == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    with pytest.raises(ValueError, match="an x that varies"):
        statistics.line([1, 1, 1], [1, 2, 3])


def test_holm_is_the_published_example():
    """Aickin & Gensler 1996, American Journal of Public Health 86, 726: sorted p times what is left."""
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_holm_keeps_the_family_wise_error(rng):
    wrong = [min(statistics.holm(rng.uniform(size=5))) <= 0.05 for _ in range(2000)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.015)


def test_the_one_sided_test_is_scipys(rng):
    for count in (2, 5, 9):
        values = rng.normal(0.01, 0.02, count)
        expected = stats.ttest_1samp(values, 0.005, alternative="greater").pvalue
        assert statistics.p_greater(values, 0.005) == pytest.approx(expected)


def test_the_one_sided_test_does_not_believe_in_no_deviation():
    assert statistics.p_greater([0.01]) == 1.0
    for equal in ([0.01] * 3, [0.0] * 3, [0.3 - 0.2, 0.2 - 0.1, 0.4 - 0.3]):
        assert statistics.p_greater(equal) == 1.0
    resolution = 0.01
    expected = stats.t.sf(0.01 / (resolution / np.sqrt(3)), 2)
    assert statistics.p_greater([0.01] * 3, resolution=resolution) == pytest.approx(expected)
    wide = [0.0, 0.1, 0.2]
    assert statistics.p_greater(wide, resolution=resolution) == statistics.p_greater(wide)


def test_partial_conjunctions():
    p_values = [0.04, 0.01, 0.3]
    assert statistics.p_at_least(p_values, 1) == pytest.approx(0.03)  # Bonferroni
    assert statistics.p_at_least(p_values, 2) == pytest.approx(0.08)
    assert statistics.p_at_least(p_values, 3) == pytest.approx(0.3)  # the largest
    assert statistics.p_at_least([0.9, 0.8], 1) == 1.0
    for least in (0, 4):
        with pytest.raises(ValueError, match=r"least must lie in \[1, 3\]"):
            statistics.p_at_least(p_values, least)


def test_partial_conjunctions_hold_their_level(rng):
    """Two of four hypotheses are true and always found; "at least three" must not be."""
    nulls = rng.uniform(size=(4000, 2))
    found = [statistics.p_at_least([0.0, 0.0, *pair], 3) <= 0.05 for pair in nulls]
    assert np.mean(found) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("resolution", [0.0, 2.0])
def test_an_interval_of_another_confidence_is_that_of_the_values(resolution):
    values = [0.1, 0.4, 0.2, 0.9]
    narrow = statistics.estimate(values, resolution=resolution)
    wide = statistics.estimate(values, 0.99, resolution)
    found = statistics.with_confidence(narrow, 0.99)
    assert (found.low, found.high) == pytest.approx((wide.low, wide.high))
    assert (found.mean, found.deviation, found.count) == (wide.mean, wide.deviation, wide.count)


@pytest.mark.parametrize(("deviation", "needed"), [(0.05, 2), (0.005, 2), (0.0005, 2), (0.2, 3)])
def test_few_seeds_find_an_effect_that_is_large(deviation, needed, rng):
    """By drawing: of two seeds t(1) is above 12.7 in nearly all studies where 0.9 varies by 0.05."""
    assert statistics.seeds_needed(0.9, deviation) == needed
    studies = 0.9 + deviation * rng.normal(size=(4000, needed))
    powers = [
        np.mean(stats.ttest_1samp(studies[:, :count], 0, axis=1).pvalue <= 0.05)
        for count in range(2, needed + 1)
    ]
    assert [power > 0.8 for power in powers] == [False] * (needed - 2) + [True]


def test_seeds_needed_one_sided_are_fewer(rng):
    needed = statistics.seeds_needed(0.01, 0.01, sides=1)
    assert needed < statistics.seeds_needed(0.01, 0.01)
    for count, enough in ((needed, True), (needed - 1, False)):
        samples = rng.normal(0.01, 0.01, (4000, count))
        power = np.mean([statistics.p_greater(sample) <= 0.05 for sample in samples])
        assert (power >= 0.79) if enough else (power <= 0.81)
