"""What a way to remove shortcuts does: which network is trained, and what is left of it."""

import abc
import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class ShortcutRemoval(abc.ABC):
    """A way to train a network without shortcuts. A new one is a class in a file and an entry of `REMOVALS`.

    Attributes:
      name: by which flags, study files and results call it.
      changes_function: whether the network in training computes something else than what is left of it.
      needs_teacher: whether it starts from a teacher.
    """

    name: ClassVar[str]
    changes_function: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def check(self, student, teacher=None):
        """Raises the ValueError of `start`, before anything is trained; arguments as there."""
        self.start(student, 1, teacher)
        self.terms(student, teacher, 1)

    @abc.abstractmethod
    def start(self, student, steps, teacher=None):
        """The network that is trained in the student's place.

        Args:
          student: a `keras.Model` without shortcuts, untrained; it is not changed.
          steps: of the whole training.
          teacher: the network that teaches it, or None.

        Raises:
          ValueError: for a student or teacher that this way cannot do with.
        """

    @abc.abstractmethod
    def finish(self, network, student):
        """Writes what is left of `network`, which `start` made, into the student's weights."""

    def terms(self, student, teacher, steps):
        """Further `terms` of the Distiller, on the layers of both; arguments as for `start`."""
        return []

    def gate(self, network):
        """How much of the shortcuts is left, in [0, 1], the mean over blocks."""
        return 0.0
