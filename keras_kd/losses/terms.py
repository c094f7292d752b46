"""What a term of a Distiller is, and how one answers for each example."""

from typing import Protocol, runtime_checkable


class LossTerm(Protocol):
    """A loss of both networks' outputs; Keras's `DistillationLoss` is one.

    It may have `teacher_layer_name` and `student_layer_name`: the layers that it compares.
    """

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """Scalar: the mean over the batch."""


@runtime_checkable
class RowLossTerm(Protocol):
    """A `LossTerm` that answers for each example, so that examples can be weighted."""

    def per_example(self, teacher_outputs, student_outputs):
        """float32 `[batch]`."""


@runtime_checkable
class LabelledLossTerm(Protocol):
    """A `LossTerm` that also asks for the labels."""

    def per_example_with_labels(self, teacher_outputs, student_outputs, labels):
        """float32 `[batch]`."""
