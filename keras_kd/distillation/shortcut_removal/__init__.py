"""Ways to train a network without shortcuts until it is as good as its residual twin.

removal = shortcut_removal.make("fade", fade_end=0.6)
keras_kd.training.distill(teacher, student, dataset, settings, shortcut_removal=removal)
"""

import dataclasses
import difflib
import itertools

import keras

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval
from keras_kd.distillation.shortcut_removal.blockwise import Blockwise
from keras_kd.distillation.shortcut_removal.combined import Combined
from keras_kd.distillation.shortcut_removal.fade import Fade
from keras_kd.distillation.shortcut_removal.layerwise import Layerwise
from keras_kd.distillation.shortcut_removal.merge import Merge
from keras_kd.distillation.shortcut_removal.plain import NoRemoval
from keras_kd.distillation.shortcut_removal.tails import Tails

# What `keras-kd distill` takes by itself; docs/shortcut-removal.md has the numbers behind it.
RECOMMENDED = "fade"

REMOVALS = {removal.name: removal for removal in (NoRemoval, Fade, Layerwise, Merge, Blockwise, Tails)}

__all__ = [
    "RECOMMENDED",
    "REMOVALS",
    "Blockwise",
    "Combined",
    "Fade",
    "Layerwise",
    "Merge",
    "NoRemoval",
    "ShortcutRemoval",
    "Tails",
    "format_spec",
    "make",
    "parse_spec",
]


def make(name, **options):
    """The `ShortcutRemoval` of a name.

    Args:
      name: of `REMOVALS`, or several with "+" between them, for a `Combined`.
      **options: their attributes, such as `fade_end=0.6`.

    Raises:
      ValueError: for an unknown name or option, a value out of range, or ways that cannot be combined.
    """
    names = str(name).split("+")
    for each in names:
        if each not in REMOVALS:
            near = difflib.get_close_matches(each, REMOVALS, 1)
            advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(REMOVALS)}"
            raise ValueError(f"unknown shortcut_removal {each!r}: {advice}")
    known = {each: [field.name for field in dataclasses.fields(REMOVALS[each])] for each in names}
    unknown = [option for option in options if option not in itertools.chain(*known.values())]
    if unknown:
        of = ", ".join(itertools.chain(*known.values()))
        has = f"it has {of}" if of else "it has none"
        raise ValueError(f"shortcut_removal={name!r} has no option {unknown[0]!r}: {has}")
    parts = [
        REMOVALS[each](**{option: value for option, value in options.items() if option in known[each]})
        for each in sorted(names, key=list(REMOVALS).index)
    ]
    return parts[0] if len(parts) == 1 else Combined(tuple(parts))


def format_spec(removal):
    """Text `NAME:OPTION=VALUE:...` of what is not as by default; `parse_spec` of it gives the same back.

    Raises:
      ValueError: where an option is a model, which has no text.
    """
    options = [
        f"{field.name}={_text(field.name, getattr(part, field.name))}"
        for part in getattr(removal, "parts", (removal,))
        for field in dataclasses.fields(part)
        if getattr(part, field.name) != field.default
    ]
    return ":".join([removal.name, *options])


def parse_spec(text, **options):
    """The `ShortcutRemoval` of a spec.

    Args:
      text: `NAME:OPTION=VALUE:...`, such as "fade:fade_end=0.6" or "fade+blockwise"; see `format_spec`.
      **options: further ones, as for `make`.

    Raises:
      ValueError: as `make` does, for text that is no spec, or an option that is given twice.
    """
    name, *parts = str(text).split(":")
    for part in parts:
        option, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"a shortcut_removal is NAME:OPTION=VALUE:... Received: {str(text)!r}")
        if option in options:
            raise ValueError(f"{option} is given twice. Received: {str(text)!r}")
        options[option] = _value(value)
    return make(name, **options)


def _text(option, value):
    if isinstance(value, keras.Model):
        raise ValueError(f"{option} is the model {value.name!r}, which is no text: give the path of its file")
    return value


def _value(text):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
