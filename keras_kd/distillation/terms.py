"""The terms of a Distiller: losses beside labels and soft targets, each with a weight and its layers."""

import collections

import keras
from keras import ops

from keras_kd.losses import LabelledLossTerm, per_example, without_reduction
from keras_kd.models import outputs
from keras_kd.utils import limits


class Term:
    """One of the `terms`: a loss, its weight, and the layers that it looks at."""

    def __init__(self, weight, loss):
        is_schedule = isinstance(weight, keras.optimizers.schedules.LearningRateSchedule)
        self.weight = (
            weight if is_schedule else float(limits.TERM_WEIGHT.check("the weight of a term", weight))
        )
        self.loss = loss
        self.teacher_layer = getattr(loss, "teacher_layer_name", None) or "logits"
        self.student_layer = getattr(loss, "student_layer_name", None) or "logits"
        self._unreduced = without_reduction(loss)

    def weight_at(self, step):
        """The weight in a step of the Distiller: a number or a scalar tensor."""
        return self.weight if isinstance(self.weight, float) else self.weight(step)

    def check(self, teacher, student):
        """Raises a ValueError if the loss cannot compare the layers that it looks at, or there are none."""
        if teacher is not None:
            self.loss.validate_model_compatibility(teacher, student)
            self._check_shapes(_shapes(teacher, self.teacher_layer), _shapes(student, self.student_layer))
        elif self.teacher_layer != "logits":
            raise ValueError(
                f"a term on the teacher's layer {self.teacher_layer!r} needs the teacher itself. "
                f"Received: teacher=None"
            )

    def _check_shapes(self, teacher, student):
        """Tries outputs of unequal shapes: Keras's losses would fail in a step, or repeat one of the two."""
        if teacher is None or student is None or _may_be_equal(teacher, student):
            return
        cause = None
        try:
            if not self._is_elementwise():
                outputs_of = {self.teacher_layer: _zeros(teacher)}, {self.student_layer: _zeros(student)}
                self.per_example(*outputs_of, ops.zeros([1], "int32"))
                return
        except Exception as error:  # of the loss, which may be anyone's
            cause = error
        raise ValueError(
            f"{type(self.loss).__name__} cannot compare the output of {self.teacher_layer!r} (teacher) with "
            f"that of {self.student_layer!r} (student): take layers of one shape, or a loss that knows both. "
            f"Received: shapes {teacher} and {student}"
        ) from cause

    def _is_elementwise(self):
        """Whether the loss is Keras's own, inside Keras's own term."""
        inside = keras.tree.flatten(getattr(self.loss, "loss", None))
        own = [each is None or _name(each) in vars(keras.losses) for each in inside]
        return type(self.loss) is keras.distillation.FeatureDistillation and all(own)

    def per_example(self, teacher, student, labels=None):
        teacher, student = teacher[self.teacher_layer], student[self.student_layer]
        self.loss.validate_outputs(teacher, student)
        if isinstance(self.loss, LabelledLossTerm):
            return self.loss.per_example_with_labels(teacher, student, labels)
        return per_example(self._unreduced, teacher, student)


def _name(loss):
    return type(loss).__name__ if isinstance(loss, keras.losses.Loss) else getattr(loss, "__name__", "")


def _shapes(model, layer):
    """The shape of a layer's output, batch included, or a structure of such; None if it is not known."""
    if layer == "logits" and isinstance(model, keras.Sequential):  # its `output` is there once it was called
        (output,) = getattr(model, "outputs", None) or (None,)
    elif layer == "logits":
        output = model.output if getattr(model, "inputs", None) else None
    else:
        output = model.get_layer(layer).output
    return None if output is None else keras.tree.map_structure(lambda x: tuple(x.shape), output)


def _is_shape(value):
    return isinstance(value, tuple) and all(size is None or isinstance(size, int) for size in value)


def _may_be_equal(one, other):
    """Whether two shapes are equal where both are known, or of structures."""
    if not _is_shape(one) or not _is_shape(other):
        return one == other
    return len(one) == len(other) and all(a == b or None in (a, b) for a, b in zip(one, other, strict=True))


def _zeros(shapes):
    """A batch of one example of such shapes."""
    if _is_shape(shapes):
        return ops.zeros([1, *(size or outputs.UNKNOWN_SIZE for size in shapes[1:])])
    values = shapes.values() if isinstance(shapes, dict) else shapes
    zeros = [_zeros(value) for value in values]
    return dict(zip(shapes, zeros, strict=True)) if isinstance(shapes, dict) else zeros


def named_terms(terms):
    """`{name: Term}`, named after the class of the loss, numbered where that is not unique."""
    if not isinstance(terms, (list, tuple)):
        raise ValueError(
            f"terms must be a list, of losses or pairs (weight, loss). Received: terms={terms!r}"
        )
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
