"""What ways have in common that train the student itself, by further losses on layers of its twin."""

import dataclasses

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval
from keras_kd.distillation.shortcut_removal.twins import check_twin


@dataclasses.dataclass(frozen=True)
class ByTerms(ShortcutRemoval):
    """The student is trained as it is, with the `terms` of a subclass; the teacher has its blocks."""

    trains_another = False
    needs_teacher = True

    def start(self, student, steps, teacher=None):
        check_twin(student, teacher, self.name)
        return student

    def finish(self, network, student):
        """Nothing is left to do: the student was trained itself."""
