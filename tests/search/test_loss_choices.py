"""Losses whose options are ranges: as text, as hyperparameters, and what is refused."""

import keras_tuner
import pytest

from keras_kd.distillation import recipes
from keras_kd.search import loss_choices
from keras_kd.search.space import SearchSpace

TEXT = "dkd:target_weight=2.0:temperature=1..8:nontarget_weight=2..16"


def test_a_choice_is_written_and_read_again_and_filled():
    choice = loss_choices.parse("dkd:temperature=1.0..8:target_weight=2:nontarget_weight=2..16")
    assert choice.text == TEXT
    assert loss_choices.parse(TEXT) == choice
    assert choice.usual == recipes.parse_spec("dkd:target_weight=2")
    filled = choice.at({"dkd temperature": 2.5, "dkd nontarget_weight": 3.0})
    assert filled == "dkd:target_weight=2.0:temperature=2.5:nontarget_weight=3.0"
    assert recipes.parse_spec(filled).text == filled
    assert loss_choices.parse("kdpp:weight=1..4").text == "kd+kdpp:weight=1..4"
    assert loss_choices.parse("dkd:temperature=2..2").text == "dkd:temperature=2.0"


@pytest.mark.parametrize(
    ("text", "is_logarithmic"),
    [
        ("dkd:temperature=1..2", True),
        ("at:weight=100..200", True),
        ("dkd:target_weight=0..200", False),
        ("dkd:nontarget_weight=2..16", False),
        ("dkd:nontarget_weight=2..20", True),
    ],
)
def test_temperatures_weights_and_wide_ranges_are_logarithmic(text, is_logarithmic):
    ((option),) = loss_choices.parse(text).ranges
    assert option.is_logarithmic == is_logarithmic


def test_values_have_four_digits_and_stay_in_the_range():
    (option,) = loss_choices.parse("at:weight=123.456..234.567").ranges
    assert option.rounded(200.06) == 200.1
    assert (option.rounded(option.low), option.rounded(option.high)) == (123.5, 234.567)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dkd:temperature=8..1", "dkd:temperature=8..1: a range's ends are reversed.* Received: '8..1'"),
        ("at:wieght=1..8", "loss='at' has no option 'wieght': it has .*weight"),
        ("dkb:temperature=1..8", "unknown loss 'dkb': did you mean 'dkd'"),
        ("dkd:temperature=0..8", "temperature must lie in .* Received: temperature=0.0"),
        ("at:warmup=0..2", "warmup must lie in .* Received: warmup=2.0"),
        ("kd+dkd:temperature=1..8+at:weight=1..1e10", "weight must lie in .* Received: weight=10000000000.0"),
        ("dkd:temperature=a..8", "two finite numbers. Received: 'a..8'"),
        ("dkd:temperature=1..", "two finite numbers. Received: '1..'"),
        ("dkd:temperature=1..inf", "two finite numbers. Received: '1..inf'"),
        ("dkd:temperature=1..2..3", "two finite numbers. Received: '1..2..3'"),
        ("fitnets:teacher_layers=a..b", "teacher_layers of fitnets is no number"),
        ("mlkd:temperatures=1..4", "temperatures of mlkd is no number"),
        ("kd:temperature=1..8", "bounds of their own, as --temperature_low. Received: temperature=1..8"),
    ],
)
def test_bad_ranges_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(losses=("kd", text))


def test_where_nothing_is_searched_ranges_are_refused():
    with pytest.raises(
        ValueError, match="temperature of dkd is one value .*keras-kd search --losses"
    ) as caught:
        recipes.parse_spec("kd+dkd:temperature=1..8")
    assert "\n" not in str(caught.value)


def test_only_options_of_the_chosen_loss_are_active():
    space = SearchSpace(losses=("kd", TEXT, "at:weight=1..10", "kd+at:weight=100..1000"))
    hyperparameters = keras_tuner.HyperParameters()
    assert set(space.declare(hyperparameters)) == {"temperature", "alpha", "loss"}
    hyperparameters.values["loss"] = TEXT
    hyperparameters.values |= {"dkd temperature": 2.12345, "dkd nontarget_weight": 3.0}
    told = space.declare(hyperparameters)
    loss = "dkd:target_weight=2.0:temperature=2.123:nontarget_weight=3.0"
    assert told == {
        **{"temperature": 1.0, "alpha": 0.0, "loss": loss},
        **{"dkd temperature": 2.123, "dkd nontarget_weight": 3.0},
    }
    assert loss_choices.without_options(told) == {"temperature": 1.0, "alpha": 0.0, "loss": loss}
    assert loss_choices.kind_of(told) == "dkd:target_weight=2.0:temperature=..:nontarget_weight=.."
    for text, weight in (("at:weight=1..10", 5.0), ("kd+at:weight=100..1000", 500.0)):  # one name, two ranges
        hyperparameters.values = {"temperature": 1.0, "alpha": 0.0, "loss": text, "at weight": weight}
        assert space.declare(hyperparameters)["loss"] == text.split("=")[0] + f"={weight}"
        sent = keras_tuner.HyperParameters.from_proto(hyperparameters.to_proto())  # to a worker
        assert space.declare(sent) == space.declare(hyperparameters)


def test_a_loss_without_ranges_adds_nothing_and_one_with_them_is_choice_enough():
    plain = keras_tuner.HyperParameters()
    SearchSpace(losses=("kd", "dkd:temperature=2")).declare(plain)
    assert [each.name for each in plain.space] == ["temperature", "alpha", "loss"]
    assert SearchSpace(losses=("dkd",)).names == ["temperature", "alpha"]
    one = SearchSpace(losses=(TEXT,))
    assert one.names == ["temperature", "alpha", "loss"]
    values = one.declare(keras_tuner.HyperParameters())
    assert values["loss"] == "dkd:target_weight=2.0:temperature=1.0:nontarget_weight=2.0"
    assert one.usual("loss") == "dkd:target_weight=2.0"  # as its source has the others
