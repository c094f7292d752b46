"""The first sentences about feature reuse, decided from numbers alone."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from keras_kd.analysis.results import GroupResult
from keras_kd.analysis.reuse import comparisons
from keras_kd.analysis.reuse.answer import answer
from keras_kd.analysis.reuse.results import LayerSimilarity, LesionDifference, NetworkReuse, ReuseResult


def network(label, drop, accuracy=0.9):
    return NetworkReuse(label, ["stem"], [[1.0]], [1.0], 1.0, accuracy=accuracy, lesion_drop=drop)


def sentences(*arguments, **options):
    found = answer(*arguments, **options)
    return [*found.sentences, *found.basis]


def group(*networks, differences=(), pairs=(("plain", "residual"),), cka=(), seed=0, kind=None):
    found = [LesionDifference(*each) for each in differences]
    result = ReuseResult(list(networks), list(cka), lesion_differences=found, images=400)
    return GroupResult("g", result, seed, kind, pairs=[list(pair) for pair in pairs], twin="residual")


RESIDUAL, PLAIN = network("residual", 0.123, 0.953), network("plain", 0.401, 0.464)


def test_of_one_seed_the_interval_is_over_images():
    found = sentences([group(RESIDUAL, PLAIN, differences=[("residual", "plain", -0.278, 0.5)])])
    half = stats.t.ppf(0.975, 399) * 0.5 / 20
    assert found == [
        f"A silenced block costs plain 27.8 points of accuracy ({100 * (0.278 - half):.1f} to "
        f"{100 * (0.278 + half):.1f}) more than residual: 40.1 of 46.4 against 12.3 of 95.3.",
        "Means over blocks. One seed: the intervals are over 400 images (95 %); another seed would give "
        "other numbers.",
    ]


def test_what_is_less_is_told_as_less_and_what_may_be_nothing_is_undecided():
    less, _ = sentences([group(RESIDUAL, PLAIN, differences=[("plain", "residual", -0.2, 0.5)])])
    assert less.startswith("A silenced block costs plain 20.0 points of accuracy (15.1 to 24.9) less than")
    undecided, _ = sentences([group(RESIDUAL, PLAIN, differences=[("plain", "residual", 0.01, 0.5)])])
    assert undecided == (
        "Undecided whether a silenced block costs plain or residual more accuracy: 40.1 of 46.4 against 12.3 "
        "of 95.3 points, a difference of +1.0 (-3.9 to +5.9)."
    )


def test_over_seeds_the_interval_is_that_of_the_seeds():
    drops = (0.40, 0.44, 0.45)
    groups = [
        group(network("residual", 0.1), network("plain", drop), seed=seed, kind="depth 20")
        for seed, drop in enumerate(drops)
    ]
    told, basis = sentences(groups, others=60)
    low, high = stats.t.interval(1 - 0.025, 2, np.mean(drops) - 0.1, stats.sem(drops))
    assert told.startswith(
        f"A silenced block costs plain 33.0 points of accuracy ({100 * low:.1f} to {100 * high:.1f}) more"
    )
    assert (
        basis == "Means over blocks. Intervals are over 3 seeds, corrected for the 61 intervals of this page."
    )


def test_equal_drops_are_not_certain():
    """Of 400 images: as if drops varied by one image between seeds, or one image by its answer."""
    three = [group(network("residual", 0.1), network("plain", 0.2), seed=seed) for seed in range(3)]
    half = stats.t.ppf(0.975, 2) / 400 / np.sqrt(3)
    told, _ = sentences(three)
    assert f"10.0 points of accuracy ({100 * (0.1 - half):.1f} to {100 * (0.1 + half):.1f}) more" in told
    one = group(RESIDUAL, PLAIN, differences=[("plain", "residual", 0.1, 0.0)])
    half = stats.t.ppf(0.975, 399) / 400
    assert (
        f"10.0 points of accuracy ({100 * (0.1 - half):.1f} to {100 * (0.1 + half):.1f}) more"
        in (sentences([one])[0])
    )


def test_without_interval_or_blocks_nothing_is_decided():
    (old,) = sentences([group(RESIDUAL, PLAIN)])
    assert old == (
        "Undecided whether a silenced block costs plain or residual more accuracy: 40.1 of 46.4 against 12.3 "
        "of 95.3 points, no interval."
    )
    mlp = dataclasses.replace(PLAIN, lesion_drop=None)
    like = LayerSimilarity("residual", "plain", ["a", "b"], ["a", "b"], [[0.5, 0.1], [0.2, 0.7]])
    (told,) = sentences([group(RESIDUAL, mlp, cka=[like])])
    assert told == (
        "Undecided what a block of plain or residual is worth: not both have one to silence; their CKA, "
        "layer by layer, is 0.60 (no interval)."
    )
    (alone,) = sentences([group(PLAIN, pairs=())])
    assert alone.startswith("plain is right about 46.4 % of the images and loses 40.1 points when one block")


def test_what_a_block_costs_more_is_counted_image_by_image():
    """Four images, two blocks: NumPy's mean and deviation of what each image loses."""
    right = {
        "a": np.array([[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], np.uint8),
        "b": np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]], np.uint8),
    }
    (found,) = comparisons.lesion_differences(right)
    more = np.array([1.0, 0.5, 0.0, -0.5]) - np.array([0.0, 0.5, 0.0, 0.0])
    assert (found.one, found.other) == ("a", "b")
    assert (found.mean, found.deviation) == pytest.approx((more.mean(), more.std(ddof=1)))
