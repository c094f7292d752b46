"""Shortcuts that fade away: each is multiplied by a gate that goes from 1 to 0 while the network trains."""

import dataclasses

import numpy as np

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval
from keras_kd.models import fading, weights
from keras_kd.utils import limits

ORDERS = ("together", "input_first")


@dataclasses.dataclass(frozen=True)
class Fade(ShortcutRemoval):
    """A gate on each shortcut; the network that is left is the plain one, weight for weight.

    Attributes:
      gate_options: those that say when gates close.
      fade_start, fade_end: shares of the training in which the gates go from 1 to 0.
      fade_curve: "cosine" or "linear".
      fade_order: "together", or "input_first": one block after the other, from the input on.

    Raises:
      ValueError: for a share out of [0, 1], an end before the start, an unknown curve or order.
    """

    fade_start: float = 0.0
    fade_end: float = 0.9
    fade_curve: str = "cosine"
    fade_order: str = "together"

    name = "fade"
    gate_options = ("fade_start", "fade_end", "fade_curve", "fade_order")
    changes_function = True

    def __post_init__(self):
        for field in ("fade_start", "fade_end"):
            limits.SHARE.check(field, getattr(self, field))
        if self.fade_end < self.fade_start:
            raise ValueError(
                f"fade_end must not lie before fade_start. Received: fade_start={self.fade_start!r}, "
                f"fade_end={self.fade_end!r}"
            )
        for field, known in (("fade_curve", fading.CURVES), ("fade_order", ORDERS)):
            limits.check_choice(field, getattr(self, field), known)

    def spans(self, blocks, steps):
        """`[(first, last)]`: the steps in which each block's gate goes from 1 to 0."""
        bounds = np.linspace(self.fade_start, self.fade_end, blocks + 1) * steps
        if self.fade_order == "together":
            bounds = np.array([[bounds[0], bounds[-1]]] * blocks)
        else:
            bounds = np.stack([bounds[:-1], bounds[1:]], axis=1)
        return [(int(first), int(last)) for first, last in np.round(bounds)]

    def start(self, student, steps, teacher=None):
        count = len(fading.plain_blocks(student))
        return fading.with_fading_shortcuts(student, self.spans(count, steps), self.fade_curve)

    def finish(self, network, student):
        weights.copy_by_layer(network, student)
