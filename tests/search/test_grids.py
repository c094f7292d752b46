"""Grids in which losses have options of their own."""

import math

import keras_tuner
import pytest

from keras_kd.search.space import SearchSpace

DKD = "dkd:temperature=1..4:nontarget_weight=2..16"
AT = "kd+at:weight=100..1000"


def of_loss(points, loss):
    return [point for point in points if point["loss"] == loss]


def test_each_loss_has_the_points_of_its_own_options():
    points = SearchSpace((2.0, 2.0), (0.5, 0.5), losses=("kd", DKD, AT)).grid(8)
    assert points == [
        {"temperature": 2.0, "alpha": 0.5} | own
        for own in (
            {"loss": "kd"},
            {"loss": DKD, "dkd temperature": 1.0, "dkd nontarget_weight": 2.0},
            {"loss": AT, "at weight": pytest.approx(100)},
            {"loss": DKD, "dkd temperature": 1.0, "dkd nontarget_weight": 16.0},
            {"loss": AT, "at weight": pytest.approx(math.sqrt(100 * 1000))},
            {"loss": DKD, "dkd temperature": pytest.approx(4.0), "dkd nontarget_weight": 2.0},
            {"loss": AT, "at weight": pytest.approx(1000)},
            {"loss": DKD, "dkd temperature": pytest.approx(4.0), "dkd nontarget_weight": 16.0},
        )
    ]


def test_what_says_nothing_of_a_loss_costs_no_points_of_it():
    space = SearchSpace(losses=("kd", DKD, AT), loss_weight_factor=(0.5, 2.0))
    points = space.grid(14)
    assert len(points) <= 14
    assert len({tuple(sorted(point.items())) for point in points}) == len(points)
    assert {point["loss_weight_factor"] for point in of_loss(points, "kd")} == {1.0}
    assert {(point["temperature"], point["alpha"]) for point in of_loss(points, DKD)} == {(4.0, 0.5)}
    assert len({point["temperature"] for point in of_loss(points, "kd")}) > 1
    for point in points:  # as keras-tuner holds them
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.values = dict(point)
        told = space.declare(hyperparameters)
        assert set(told) == set(point)
        assert ".." not in told["loss"]


def test_a_loss_that_would_go_untried_is_refused():
    space = SearchSpace(losses=("kd", DKD, AT))
    assert [point["loss"] for point in space.grid(3)] == ["kd", DKD, AT]
    with pytest.raises(ValueError, match="a grid needs a trial for each loss, 3. Received: 2"):
        space.grid(2)


def test_without_ranges_the_points_and_their_order_are_those_of_searches_begun_before():
    points = SearchSpace((1.0, 16.0), (0.5, 0.5), losses=("kd", "dkd"), teachers=("a", "b")).grid(8)
    found = [(point["temperature"], point["teacher"], point["loss"]) for point in points]
    assert found == [(t, name, loss) for t in (1.0, 16.0) for name in "ab" for loss in ("kd", "dkd")]
