"""From a trained residual network, one shortcut after the other is cut, from the input on."""

import dataclasses

import keras
import numpy as np

from keras_kd.distillation.shortcut_removal.fade import Fade
from keras_kd.distillation.shortcut_removal.twins import check_twin
from keras_kd.models import fading, outputs, rebuilding, serialization, weights
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class Layerwise(Fade):
    """The student begins with the weights of its residual twin, the teacher, and loses shortcut by shortcut.

    Attributes:
      fade_start, fade_end: shares of the training at which the first and the last shortcut are cut.
      start_from: another trained residual twin to begin with, a `keras.Model` or the path of its `.keras`
        file; None begins with the teacher. Whoever teaches need not be a twin then.
      fade_curve, fade_order: as they are; a shortcut is cut at once, one after the other from the input on.

    Raises:
      ValueError: as `Fade`, and for another curve or order, or a start that is neither network nor path.

    Source: Weng et al. 2023 (Tailor), arXiv:2301.07247, algorithm 1; the loss is the Distiller's.
    """

    fade_end: float = 0.6
    start_from: keras.Model | str | None = None

    name = "layerwise"
    gate_options = ("fade_start", "fade_end")

    def __post_init__(self):
        super().__post_init__()
        for option in ("fade_curve", "fade_order"):
            if getattr(self, option) != getattr(Fade, option):
                raise ValueError(
                    f"layerwise cuts each shortcut at once, one after the other from the input on: leave "
                    f"{option} out. Received: {option}={getattr(self, option)!r}"
                )
        if not isinstance(self.start_from, keras.Model | str | None):
            raise ValueError(
                f"start_from must be a network or the path of its .keras file, without a colon or a comma. "
                f"Received: start_from={limits.shown(self.start_from)}"
            )

    @property
    def needs_teacher(self):
        return self.start_from is None

    def spans(self, blocks, steps):
        cuts = np.round(np.linspace(self.fade_start, self.fade_end, blocks) * steps)
        return [(int(cut), int(cut)) for cut in cuts]

    def start(self, student, steps, teacher=None):
        begun = teacher if self.needs_teacher else self._given()
        check_twin(student, begun, self.name, "a network to start from")
        _check_same_weights(student, begun)
        network = super().start(student, steps)
        weights.copy_by_layer(begun, network)
        _check_same_function(student, begun)
        return network

    def _given(self):
        given = self.start_from
        return given if isinstance(given, keras.Model) else serialization.load_model(str(given))


def _check_same_weights(student, teacher):
    """Raises a ValueError if one of both has weights that the other does not have."""
    found = [weights.by_layer(model) for model in (student, teacher)]
    differing = [(found[0] | found[1])[key].path for key in found[0].keys() ^ found[1].keys()]
    if differing:
        raise ValueError(
            f"shortcut_removal='layerwise' starts from a residual twin whose shortcuts have no weights: "
            f"cifar_resnet or imagenet_resnet with projection='pad'; of a wide_resnet take fade. "
            f"Received: {teacher.name!r}, which differs from the student in {min(differing)!r}"
        )


def _check_same_function(student, begun):
    """Raises a ValueError unless the student with shortcuts and the weights of `begun` computes the same."""
    opened = fading.with_fading_shortcuts(student, [(1, 1)] * len(fading.plain_blocks(student)))
    weights.copy_by_layer(begun, opened)
    pair = [outputs.with_logits(rebuilding.in_float32(each), independent=True) for each in (opened, begun)]
    difference = rebuilding.largest_difference(*pair, least=1.0)
    if difference > rebuilding.TOLERANCE:
        raise ValueError(
            f"shortcut_removal='layerwise' starts from a network that computes what the student does with "
            f"its weights and shortcuts, and {begun.name!r} does not: its logits differ by {difference:.2g} "
            f"of the largest. Something before the first block, in a BatchNorm, or where its skips leave is "
            f"different: take fade, or another network to start from"
        )
