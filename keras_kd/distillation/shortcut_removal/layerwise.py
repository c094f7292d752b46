"""From a trained residual network, one shortcut after the other is cut, from the input on."""

import dataclasses

import numpy as np

from keras_kd.distillation.shortcut_removal.fade import Fade
from keras_kd.models import blocks, fading, weights


@dataclasses.dataclass(frozen=True)
class Layerwise(Fade):
    """The student begins with the weights of its residual twin, the teacher, and loses shortcut by shortcut.

    Attributes:
      fade_start, fade_end: shares of the training at which the first and the last shortcut are cut.

    Source: Weng et al. 2023 (Tailor), arXiv:2301.07247, algorithm 1; the loss is the Distiller's.
    """

    fade_end: float = 0.6

    name = "layerwise"
    needs_teacher = True

    def spans(self, blocks, steps):
        cuts = np.round(np.linspace(self.fade_start, self.fade_end, blocks) * steps)
        return [(int(cut), int(cut)) for cut in cuts]

    def start(self, student, steps, teacher=None):
        check_twin(student, teacher, self.name)
        _check_same_start(student, teacher)
        network = super().start(student, steps)
        weights.copy_common(teacher, network)
        return network


def _check_same_start(student, teacher):
    """Raises a ValueError if the teacher is another function than the student's weights with open gates."""
    paths = [{weight.path for weight in model.weights} for model in (student, teacher)]
    cut = [block.name for block in blocks.blocks_of(teacher) if block.add is None]
    if paths[0] != paths[1] or cut:
        what = sorted(paths[0] ^ paths[1])[:1] or cut
        raise ValueError(
            f"shortcut_removal='layerwise' starts from the student's residual twin, with projection='pad'. "
            f"Received: {teacher.name!r}, which differs from it in {what[0]!r}"
        )


def check_twin(student, teacher, name):
    """Raises a ValueError if the teacher does not have the student's blocks, with weights of equal shapes."""
    if teacher is None:
        raise ValueError(f"shortcut_removal={name!r} starts from a residual teacher. Received: teacher=None")
    given = {weight.path: weight.shape for weight in teacher.weights}
    names = {block.name for block in blocks.blocks_of(teacher)}
    wrong = [block.name for block in fading.plain_blocks(student) if block.name not in names]
    wrong += [
        weight.path
        for weight in student.weights
        if given.get(weight.path, weight.shape) != tuple(weight.shape)
    ]
    if wrong:
        raise ValueError(
            f"shortcut_removal={name!r} needs a teacher with the student's blocks and widths. Received: "
            f"{teacher.name!r} and {student.name!r}, which differ in {wrong[0]!r} ({len(wrong)} such in all)"
        )
