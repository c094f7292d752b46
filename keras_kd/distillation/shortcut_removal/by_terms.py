"""What ways have in common that train the student itself, by further losses on layers of its twin."""

import dataclasses

from keras_kd.distillation.shortcut_removal.layerwise import check_twin
from keras_kd.distillation.shortcut_removal.plain import NoRemoval


@dataclasses.dataclass(frozen=True)
class ByTerms(NoRemoval):
    """The student is trained as it is, with the `terms` of a subclass; the teacher has its blocks."""

    needs_teacher = True

    def start(self, student, steps, teacher=None):
        check_twin(student, teacher, self.name)
        return student
