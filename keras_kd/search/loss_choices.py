"""A loss to choose from, whose options may be ranges that are searched where it is chosen.

choice = parse("dkd:temperature=1..8")
choice.at({"dkd temperature": 2.5})  # "dkd:temperature=2.5"
"""

import dataclasses
import itertools

from keras_kd.distillation import recipes
from keras_kd.utils import checks, specs

# Of a searched value: what is trained is what is told, and can be typed again.
DIGITS = 4

_LOGARITHMIC = ("temperature", "weight")

# Positive ranges are searched on a logarithmic scale from this ratio of their ends on.
_WIDE = 10


@dataclasses.dataclass(frozen=True)
class OptionRange:
    """An option of a loss that is searched.

    Attributes:
      loss: name of the loss.
      option: of it.
      low, high: both included; `low` is less.
    """

    loss: str
    option: str
    low: float
    high: float

    @property
    def name(self):
        """Of the hyperparameter."""
        return _name(self.loss, self.option)

    @property
    def is_logarithmic(self):
        """Whether the scale is: of temperatures, weights and wide ranges, where all values are positive."""
        return self.low > 0 and (self.option in _LOGARITHMIC or self.high / self.low >= _WIDE)

    def rounded(self, value):
        """A value of `DIGITS` digits, in the range."""
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def __str__(self):
        return specs.as_range(self.low, self.high)


@dataclasses.dataclass(frozen=True)
class LossChoice:
    """One of the losses that a search chooses from.

    Attributes:
      usual: the `recipes.Recipe` whose searched options are as their sources have them.
      ranges: an `OptionRange` for each of those.
    """

    usual: recipes.Recipe
    ranges: tuple[OptionRange, ...]

    @property
    def text(self):
        """The spec of which `parse` makes it again."""
        return self._filled(str)

    def at(self, values):
        """The loss's spec with `{name of a range: value}`."""
        return self._filled(lambda each: values[each.name])

    def check_ends(self):
        """Raises a ValueError for a range that holds what its loss does not take."""
        for end in ("low", "high"):
            recipes.parse_spec(self._filled(lambda each, end=end: getattr(each, end)))

    def _filled(self, value_of):
        options = {part.name: dict(part.options) for part in self.usual.parts}
        for each in self.ranges:
            options[each.loss][each.option] = value_of(each)
        return "+".join(itertools.starmap(specs.as_text, options.items()))


def parse(text):
    """The `LossChoice` of a spec of losses, as `recipes.parse_spec` reads it, with ranges LOW..HIGH.

    A range of equal ends is that value.

    Raises:
      ValueError: for what `recipes.parse_spec` refuses, also at the ends of the ranges, and for a range that
        is none, is reversed, or of an option that is no number.
    """
    named, ranges = recipes.named_options(text), []
    try:
        for name, options in named:
            ranges += _take_ranges(name, options)
        usual = recipes.parse_spec("+".join(itertools.starmap(specs.as_text, named)))
        choice = LossChoice(usual, tuple(ranges))
        choice.check_ends()
    except ValueError as error:
        raise (ValueError(f"{text}: {error}") if specs.is_range(text) else error) from None
    return choice


def _take_ranges(name, options):
    """Takes the ranges out of a loss's options; returns an `OptionRange` for each that is not one value."""
    usual, found = recipes.usual_options(name), []
    specs.check_options("loss", name, options, list(usual))
    for option, value in list(options.items()):
        if not specs.is_range(value):
            continue
        if name == recipes.KD:
            raise ValueError(
                f"kd's temperature and alpha are searched by bounds of their own, as --temperature_low. "
                f"Received: {option}={value}"
            )
        if not checks.is_real(usual[option]):
            raise ValueError(f"{option} of {name} is no number, and has no range. Received: {option}={value}")
        low, high = specs.parse_range(value)
        if low == high:
            options[option] = low
        else:
            del options[option]
            found.append(OptionRange(name, option, low, high))
    return found


def without_options(values):
    """A setting's `{name: value}` without the searched options of its loss, which stand in its text."""
    return {name: value for name, value in values.items() if " " not in name}


def kind_of(values):
    """The loss of a setting, with ".." in place of the values of its searched options."""
    named = recipes.named_options(values["loss"])
    for name, options in named:
        options |= {option: specs.RANGE for option in options if _name(name, option) in values}
    return "+".join(itertools.starmap(specs.as_text, named))


def _name(loss, option):
    """Of the hyperparameter."""
    return f"{loss} {option}"
