"""No shortcuts from the first step on."""

import dataclasses

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval


@dataclasses.dataclass(frozen=True)
class NoRemoval(ShortcutRemoval):
    """The student is trained as it is."""

    name = "none"

    def start(self, student, steps, teacher=None):
        return student

    def check_student(self, student, *, independent=False):
        """Any student and labels will do."""

    def finish(self, network, student):
        """Nothing is left to do: the student was trained itself."""
