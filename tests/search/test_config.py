"""What a search is asked for."""

import pytest

from keras_kd.search import config, session
from keras_kd.training import Settings

SEARCHED = {"searched": ("shortcut_removal",)}


def test_ways_to_lose_shortcuts_are_the_usual_ones_if_none_are_given():
    space = session.space_of(config.SearchConfig(**SEARCHED), Settings())
    assert space.shortcut_removals == config.SHORTCUT_REMOVALS
    assert session.space_of(config.SearchConfig(), Settings()).names == ["temperature", "alpha"]
    given = config.SearchConfig(**SEARCHED, shortcut_removals=("fade", "merge"))
    assert session.space_of(given, Settings()).shortcut_removals == ("fade", "merge")


def test_one_loss_with_a_range_is_choice_enough():
    given = config.SearchConfig(searched=("loss",), losses=("dkd:temperature=1..8",))
    assert session.space_of(given, Settings()).names == ["temperature", "alpha", "loss"]
    with pytest.raises(ValueError, match="are two or more"):
        config.SearchConfig(searched=("loss",), losses=("dkd:temperature=1",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"shortcut_removals": ("fade", "merge")},
            "where shortcut_removal is searched. Received: fade, merge",
        ),
        ({**SEARCHED, "shortcut_removals": ("fade",)}, "are two or more"),
        ({**SEARCHED, "shortcut_removals": ("fade", "fade")}, "shortcut_removals must hold each value once"),
        ({**SEARCHED, "tuner": "hyperband"}, "tuner='hyperband' would judge networks that still have"),
    ],
)
def test_ways_without_a_choice_or_a_fair_judgement_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        config.SearchConfig(**options)
