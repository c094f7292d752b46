"""Ways to train a network without shortcuts until it is as good as its residual twin.

removal = shortcut_removal.make("fade", fade_end=0.6)
keras_kd.training.distill(teacher, student, dataset, settings, shortcut_removal=removal)
"""

import dataclasses
import difflib

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval
from keras_kd.distillation.shortcut_removal.blockwise import Blockwise
from keras_kd.distillation.shortcut_removal.fade import Fade
from keras_kd.distillation.shortcut_removal.layerwise import Layerwise
from keras_kd.distillation.shortcut_removal.merge import Merge
from keras_kd.distillation.shortcut_removal.plain import NoRemoval
from keras_kd.distillation.shortcut_removal.tails import Tails

REMOVALS = {removal.name: removal for removal in (NoRemoval, Fade, Layerwise, Merge, Blockwise, Tails)}

__all__ = [
    "REMOVALS",
    "Blockwise",
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
      name: of `REMOVALS`.
      **options: its attributes, such as `fade_end=0.6`.

    Raises:
      ValueError: for an unknown name or option, or a value out of range.
    """
    if name not in REMOVALS:
        near = difflib.get_close_matches(str(name), REMOVALS, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(REMOVALS)}"
        raise ValueError(f"unknown shortcut_removal {name!r}: {advice}")
    known = [field.name for field in dataclasses.fields(REMOVALS[name])]
    unknown = [option for option in options if option not in known]
    if unknown:
        of = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"shortcut_removal={name!r} has no option {unknown[0]!r}: {of}")
    return REMOVALS[name](**options)


def format_spec(removal):
    """Text `NAME:OPTION=VALUE:...` of what is not as by default; `parse_spec` of it gives the same back."""
    options = [
        f"{field.name}={getattr(removal, field.name)}"
        for field in dataclasses.fields(removal)
        if getattr(removal, field.name) != field.default
    ]
    return ":".join([removal.name, *options])


def parse_spec(text):
    """The `ShortcutRemoval` of a spec; see `format_spec`.

    Raises:
      ValueError: as `make` does, or for text that is no spec.
    """
    name, *parts = str(text).split(":")
    options = {}
    for part in parts:
        option, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"a shortcut_removal is NAME:OPTION=VALUE:... Received: {str(text)!r}")
        options[option] = _value(value)
    return make(name, **options)


def _value(text):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
