"""What a search chooses from."""

import itertools
import math

import keras_tuner
import pytest

from keras_kd.search.space import SearchSpace
from tests.support.searches import SPACE


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"temperature": (4.0, 2.0)}, "bounds of temperature are reversed. Received: 4.0 to 2.0"),
        ({"alpha": (0.9, 0.1)}, "bounds of alpha are reversed"),
        ({"temperature": (0.0, 2.0)}, "temperature must lie in"),
        ({"alpha": (0.5, 1.5)}, "alpha"),
        ({"alpha": (-0.5, 0.5)}, "alpha"),
        ({"temperature": (1.0, math.inf)}, "bounds of temperature must be finite"),
        ({"learning_rate": (0.0, 0.1)}, "learning_rate must lie in"),
        ({"loss_weight_factor": (0.0, 1.0)}, "loss_weight_factor must lie in"),
        ({"alpha_epochs": (0, 3)}, "at least one epoch"),
        ({"teachers": ("a", "a")}, "the teachers must differ"),
        ({"shortcut_removals": ("fade", "fade:fade_end=0.9")}, "the shortcut_removals must differ"),
        ({"shortcut_removals": ("fade", "jump")}, "unknown shortcut_removal 'jump'"),
    ],
)
def test_bad_bounds_are_named(bounds, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(**bounds)


def test_a_grid_is_even_and_has_no_corner_of_its_own():
    points = SPACE.grid(9)
    assert sorted({point["temperature"] for point in points}) == pytest.approx([1, 4, 16])
    assert sorted({point["alpha"] for point in points}) == pytest.approx([0.1, 0.5, 0.9])
    assert len({tuple(point.values()) for point in points}) == 9
    assert [len(SPACE.grid(most)) for most in (1, 2, 7, 8, 12)] == [1, 2, 6, 8, 12]
    assert SPACE.grid(1) == [{"temperature": pytest.approx(4), "alpha": pytest.approx(0.5)}]
    whole = SearchSpace(alpha_epochs=(1, 2), teachers=("a", "b"), alpha=(1.0, 1.0))
    assert {(p["alpha_epochs"], p["teacher"]) for p in whole.grid(8)} == set(
        itertools.product((1, 2), ("a", "b"))
    )
    assert {point["alpha"] for point in whole.grid(8)} == {1.0}
    with pytest.raises(ValueError, match="a trial for each teacher, 2"):
        whole.grid(1)


def test_ways_to_lose_shortcuts_are_chosen_from():
    space = SearchSpace(shortcut_removals=("none", "fade:fade_end=0.90", "merge+blockwise"))
    ways = ("none", "fade", "merge+blockwise")  # as their specs are written everywhere
    assert space.names == ["temperature", "alpha", "shortcut_removal"]
    assert space.values_of("shortcut_removal") == ways
    assert [point["shortcut_removal"] for point in space.grid(3)] == list(ways)
    hyperparameters = keras_tuner.HyperParameters()
    assert space.declare(hyperparameters)["shortcut_removal"] == "none"
    assert hyperparameters.space[-1].values == list(ways)
    with pytest.raises(ValueError, match="a trial for each shortcut_removal, 3. Received: 2"):
        space.grid(2)
