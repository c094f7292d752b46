"""The terms of a Distiller: losses beside labels and soft targets, each with a weight and its layers."""

import collections

import keras

from keras_kd.losses import (
    per_example,
    without_reduction,
)
from keras_kd.utils import limits


class Term:
    """One of the `terms`: a loss, its weight, and the layers that it looks at."""

    def __init__(self, weight, loss):
        self.weight = float(limits.TERM_WEIGHT.check("the weight of a term", weight))
        self.loss = loss
        self.teacher_layer = getattr(loss, "teacher_layer_name", None) or "logits"
        self.student_layer = getattr(loss, "student_layer_name", None) or "logits"
        self._unreduced = without_reduction(loss)

    def check(self, teacher, student):
        """Raises a ValueError if the networks lack the layers that the loss looks at."""
        if teacher is not None:
            self.loss.validate_model_compatibility(teacher, student)
        elif self.teacher_layer != "logits":
            raise ValueError(
                f"a term on the teacher's layer {self.teacher_layer!r} needs the teacher itself. "
                f"Received: teacher=None"
            )

    def per_example(self, teacher, student):
        teacher, student = teacher[self.teacher_layer], student[self.student_layer]
        self.loss.validate_outputs(teacher, student)
        return per_example(self._unreduced, teacher, student)


def named_terms(terms):
    """`{name: Term}`, named after the class of the loss, numbered where that is not unique."""
    named, used = {}, collections.Counter(("hard", "soft"))
    for term in terms:
        weight, loss = term if isinstance(term, (tuple, list)) else (1.0, term)
        if not isinstance(loss, keras.distillation.DistillationLoss):
            raise ValueError(
                "each of the terms must be a keras.distillation.DistillationLoss or a pair "
                f"(weight, loss). Received: {term!r}"
            )
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in type(loss).__name__).lstrip("_")
        used[name] += 1
        number = f"_{used[name]}" if used[name] > 1 else ""
        named[f"{name}{number}_loss"] = Term(weight, loss)
    return named
