"""Ways to train a network without shortcuts until it is as good as its residual twin.

removal = shortcut_removal.make("fade", fade_end=0.6)
keras_kd.training.distill(teacher, student, dataset, settings, shortcut_removal=removal)
"""

import dataclasses
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
from keras_kd.utils import specs

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
    "gates_of",
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
    kinds = {each: specs.find("shortcut_removal", each, REMOVALS) for each in names}
    known = {each: [field.name for field in dataclasses.fields(kind)] for each, kind in kinds.items()}
    specs.check_options("shortcut_removal", name, options, list(itertools.chain(*known.values())))
    parts = [
        REMOVALS[each](**{option: value for option, value in options.items() if option in known[each]})
        for each in sorted(names, key=list(REMOVALS).index)
    ]
    return parts[0] if len(parts) == 1 else Combined(tuple(parts))


def parts_of(removal):
    """The ways that one combines; of another it alone."""
    return getattr(removal, "parts", (removal,))


def format_spec(removal, without=()):
    """Text `NAME:OPTION=VALUE:...` of what is not as by default; `parse_spec` of it gives the same back.

    Args:
      removal: a `ShortcutRemoval`.
      without: options that are left out.

    Raises:
      ValueError: where an option is a model, which has no text.
    """
    return specs.as_text(
        removal.name,
        {
            field.name: _as_text(field.name, getattr(part, field.name))
            for part in parts_of(removal)
            for field in dataclasses.fields(part)
            if field.name not in without and getattr(part, field.name) != field.default
        },
    )


def parse_spec(text, **options):
    """The `ShortcutRemoval` of a spec.

    Args:
      text: `NAME:OPTION=VALUE:...`, such as "fade:fade_end=0.6" or "fade+blockwise"; see `format_spec`.
      **options: further ones, as for `make`.

    Raises:
      ValueError: as `make` does, for text that is no spec, or an option that is given twice.
    """
    name, options = specs.parse("shortcut_removal", text, **options)
    return make(name, **options)


def gates_of(text):
    """The `Fade` or `Layerwise` in the spec of a training: its `spans` and curve say when gates closed.

    What else the spec says is left aside: a file to start from, which may be gone, and what is refused today.

    Raises:
      ValueError: for a spec of ways without gates.
    """
    name, options = specs.parse("shortcut_removal", text)
    kinds = [specs.find("shortcut_removal", each, REMOVALS) for each in name.split("+")]
    kind = next((each for each in kinds if issubclass(each, Fade)), None)
    if kind is None:
        raise ValueError(f"no shortcut has a gate there. Received: shortcut_removal={text!r}")
    return kind(**{option: value for option, value in options.items() if option in kind.gate_options})


def _as_text(option, value):
    if isinstance(value, keras.Model):
        raise ValueError(f"{option} is the model {value.name!r}, which is no text: give the path of its file")
    return value
