"""The first sentences about landscapes, decided from numbers alone."""

from keras_kd.analysis.landscape.answer import answer
from keras_kd.analysis.landscape.results import LandscapeResult, NetworkNumbers
from keras_kd.analysis.results import GroupResult


def network(label, curvature, spread=0.1, not_convex=0.2, curvatures=True):
    values = [curvature - spread, curvature, curvature + spread, curvature] if curvatures else None
    return NetworkNumbers(
        label=label,
        examples=1024,
        loss=0.5,
        accuracy=0.9,
        standard_error=0.01,
        plane_ratio=0.1,
        not_convex=not_convex,
        holes=0,
        curvature=curvature if curvatures else None,
        curvatures=values,
    )


def sentences(*arguments, **options):
    found = answer(*arguments, **options)
    return [*found.sentences, *found.basis]


def group(*networks, pairs=(("plain", "residual"),), twin="residual", seed=0, kind=None):
    result = LandscapeResult([], [], list(networks))
    return GroupResult("g", result, seed, kind, pairs=[list(pair) for pair in pairs], twin=twin)


def test_of_one_seed_the_interval_is_over_directions():
    found = sentences([group(network("residual", 1.0), network("plain", 3.1))])
    assert found == [
        "The surface around plain is 3.1 times (2.9 to 3.4) as curved as around residual.",
        "One seed, 1,024 images: the intervals are over 4 random directions, each filter scaled to the "
        "network's own (95 %); another seed would give other numbers.",
    ]


def test_what_is_less_is_a_part_and_what_may_be_equal_is_undecided():
    less, _ = sentences([group(network("residual", 4.0), network("plain", 1.0))])
    assert less.startswith(
        "The surface around plain is 0.25 times (0.22 to 0.27) as curved as around residual."
    )
    near, _ = sentences([group(network("residual", 1.0), network("plain", 1.05))])
    assert near.startswith("The surface around plain is 1.1 times (1.04 to 1.1)")
    equal, _ = sentences([group(network("residual", 1.0, spread=0.3), network("plain", 1.05))])
    assert equal.startswith(
        "Undecided whether the surface around plain or around residual is more curved: the first 1.1 times"
    )
    flat, _ = sentences([group(network("residual", 0.01), network("plain", 1.0))])
    assert flat.endswith("is more curved: the curvature around one of them cannot be told from 0.")


def test_a_run_names_the_twin_and_intervals_grow_with_their_number():
    networks = [network("teacher", 1.0), network("student alone", 3.1), network("student fade", 2.0)]
    pairs = [("student alone", "teacher"), ("student fade", "teacher")]
    first, second, basis = sentences([group(*networks, pairs=pairs, twin="teacher")])
    assert first == (
        "The surface around student alone is 3.1 times (2.8 to 3.5) as curved as around its residual twin, "
        "teacher."
    )
    assert "student fade is 2 times" in second
    assert "(95 % for all 2 together)" in basis


def test_over_seeds_the_ratio_is_that_of_the_seeds_and_kinds_are_named():
    groups = [
        group(network("residual", 1.0), network("plain", ratio), seed=seed, kind=kind)
        for kind, ratios in (("depth 8", (2.0, 2.1, 2.2)), ("depth 20", (0.5, 2.0, 1.0)))
        for seed, ratio in enumerate(ratios)
    ]
    first, second, basis = sentences(groups, others=48)
    assert first.startswith("depth 8: The surface around plain is 2.1 times (1.6")
    assert second.startswith("depth 20: Undecided")
    assert "Intervals are over 3 seeds, corrected for the 50 intervals of this page." in basis


def test_results_without_curvatures_say_what_they_have():
    old = [
        network("residual", 1.0, not_convex=0.05, curvatures=False),
        network("plain", 1.0, curvatures=False),
    ]
    told, basis = sentences([group(*old)])
    assert told == (
        "20 % of the plane around plain, 5 % around residual is not convex; one plane each: no interval, so "
        "nothing is decided."
    )
    assert basis == "One seed: another one would give other numbers."
    over_seeds, _ = sentences([group(*old, seed=seed, kind="k") for seed in range(2)])
    assert over_seeds.endswith("is not convex: +15 points (+15 to +15).")


def test_one_network_is_compared_with_nothing():
    (told,) = sentences([group(network("model", 1.0), pairs=())])
    assert told.startswith("Around model 20 % of the plane is not convex; one network")


def test_pairs_of_which_a_network_is_missing_are_left_out():
    pairs = [("plain", "residual"), ("plain + KD", "plain")]
    found = sentences([group(network("residual", 1.0), network("plain", 3.1), pairs=pairs)])
    assert len(found) == 2
