"""No shortcuts from the first step on."""

import dataclasses

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval, refuse_fading
from keras_kd.models import fading


@dataclasses.dataclass(frozen=True)
class NoRemoval(ShortcutRemoval):
    """The student is trained as it is."""

    name = "none"
    trains_another = False

    def start(self, student, steps, teacher=None):
        return student

    def check_student(self, student, *, independent):
        """Raises a ValueError for a student whose gates, which none would tell of, are not closed yet."""
        if fading.mean_gate(student):
            refuse_fading(student)

    def finish(self, network, student):
        """Nothing is left to do: the student was trained itself."""
