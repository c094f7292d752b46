"""From a trained residual network, one shortcut after the other is cut, from the input on."""

import dataclasses

import keras
import numpy as np

from keras_kd.distillation.shortcut_removal.fade import Fade
from keras_kd.models import blocks, fading, serialization, weights


@dataclasses.dataclass(frozen=True)
class Layerwise(Fade):
    """The student begins with the weights of its residual twin, the teacher, and loses shortcut by shortcut.

    Attributes:
      fade_start, fade_end: shares of the training at which the first and the last shortcut are cut.
      start_from: another trained residual twin to begin with, a `keras.Model` or the path of its `.keras`
        file; None begins with the teacher. Whoever teaches need not be a twin then.
      fade_curve, fade_order: as they are; a shortcut is cut at once, one after the other from the input on.

    Raises:
      ValueError: as `Fade`, and for another curve or order.

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

    @property
    def needs_teacher(self):
        return self.start_from is None

    def spans(self, blocks, steps):
        cuts = np.round(np.linspace(self.fade_start, self.fade_end, blocks) * steps)
        return [(int(cut), int(cut)) for cut in cuts]

    def start(self, student, steps, teacher=None):
        begun = teacher if self.needs_teacher else self._given()
        check_twin(student, begun, self.name)
        _check_same_start(student, begun)
        network = super().start(student, steps)
        weights.copy_by_layer(begun, network)
        return network

    def _given(self):
        given = self.start_from
        return given if isinstance(given, keras.Model) else serialization.load_model(str(given))


def _check_same_start(student, teacher):
    """Raises a ValueError if it is another function than the student's weights with open gates."""
    found = [weights.by_layer(model) for model in (student, teacher)]
    differing = [(found[0] | found[1])[key].path for key in found[0].keys() ^ found[1].keys()]
    if differing:
        raise ValueError(
            f"shortcut_removal='layerwise' starts from a residual twin whose shortcuts have no weights: "
            f"cifar_resnet or imagenet_resnet with projection='pad'; of a wide_resnet take fade. "
            f"Received: {teacher.name!r}, which differs from the student in {min(differing)!r}"
        )


def check_twin(student, teacher, name):
    """Raises a ValueError for a teacher of other blocks or widths than the student, or without shortcuts."""
    if teacher is None:
        raise ValueError(f"shortcut_removal={name!r} starts from a residual teacher. Received: teacher=None")
    fading.plain_blocks(student)  # says where there is nothing to lose
    what = "a network to start from" if name == Layerwise.name else "a teacher"
    wrong = _differences(student, teacher)
    if wrong:
        raise ValueError(
            f"shortcut_removal={name!r} needs {what} with the student's blocks and widths. Received: "
            f"{teacher.name!r} and {student.name!r}, which differ in {wrong[0]!r} ({len(wrong)} such in all)"
        )
    cut = [block.name for block in blocks.blocks_of(teacher) if block.add is None]
    if cut:
        raise ValueError(
            f"shortcut_removal={name!r} needs {what} with shortcuts, the student's residual twin. Received: "
            f"{teacher.name!r}, whose {cut[0]!r} has none ({len(cut)} such in all)"
        )


def _differences(student, teacher):
    """The blocks that one of two networks has alone, and the weights of other shapes."""
    names = [{block.name for block in blocks.blocks_of(model)} for model in (student, teacher)]
    given = weights.by_layer(teacher)
    return sorted(names[0] ^ names[1]) + [
        weight.path
        for key, weight in weights.by_layer(student).items()
        if given.get(key, weight).shape != weight.shape
    ]
