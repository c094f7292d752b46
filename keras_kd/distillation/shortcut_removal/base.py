"""What a way to remove shortcuts does: which network is trained, and what is left of it."""

import abc
import dataclasses
from typing import ClassVar

from keras_kd.models import fading, rebuilding


@dataclasses.dataclass(frozen=True)
class ShortcutRemoval(abc.ABC):
    """A way to train a network without shortcuts. A new one is a class in a file and an entry of `REMOVALS`.

    Attributes:
      name: by which flags, study files and results call it.
      trains_another: whether another network is trained in the student's place, which has shortcuts, or
        branches, that it loses on the way.
      changes_function: whether the network in training computes something else than what is left of it.
      needs_teacher: whether it needs one, the student's residual twin.
      compares_classes: whether its losses take labels for classes that exclude each other.
    """

    name: ClassVar[str]
    trains_another: ClassVar[bool] = True
    changes_function: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False
    compares_classes: ClassVar[bool] = False

    def check(self, student, teacher=None, *, independent):
        """Raises the ValueErrors of `check_student` and `start` before anything is trained."""
        self.check_student(student, independent=independent)
        network = self.start(student, 1, teacher)
        self.terms(network, teacher, 1)

    def check_student(self, student, *, independent):
        """Raises a ValueError for a student that fades already, and labels that this way cannot learn from.

        Args:
          student: as for `start`.
          independent: whether labels say yes or no of each class.
        """
        if fading.fading_shortcuts(student):
            refuse_fading(student)
        if independent and self.compares_classes:
            raise ValueError(
                f"shortcut_removal={self.name!r} compares classes that exclude each other, and these labels "
                f"say yes or no of each class: take a way without tails, such as fade"
            )

    @abc.abstractmethod
    def start(self, student, steps, teacher=None):
        """The network that is trained in the student's place; without `trains_another`, the student.

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

    def conclude(self, network, student):
        """Finishes after the training; an UnequalNetworksError if the student computes another thing then."""
        self.finish(network, student)
        if network is not student and not self.gate(network):
            # In float32: sums in another order differ by more, the deeper the network.
            rebuilding.check_equal(*map(rebuilding.in_float32, (student, network)))

    def terms(self, network, teacher, steps):
        """Further `terms` of the Distiller, on layers of what `start` made and of the teacher."""
        return []

    def gate(self, network):
        """How much of the shortcuts is left, in [0, 1], the mean over blocks."""
        return fading.mean_gate(network)


def refuse_fading(network):
    """Raises the ValueError of a network that has fading shortcuts before its training."""
    raise ValueError(
        f"the network {network.name!r} has fading shortcuts already: take keras_kd.models.remove_shortcuts "
        f"of it, which can be trained. Received: gates of {fading.mean_gate(network):.2f} in the mean"
    )
