"""Whether a teacher and a student fit together: logits, class counts, input shapes."""

import keras
import numpy as np
from keras import ops

from keras_kd.models import graph

UNKNOWN_SIZE = 32

NAMED_LAYERS = 5  # of many, in a message


def check_pair(teacher, student):
    """Checks what can be known before the first batch.

    Raises:
      ValueError: if a network ends in softmax, or (once both are built) if their input shapes or
        class counts differ or they share weights.
    """
    check_separate(teacher, student)
    teacher_classes = check_logits(teacher, "teacher")
    student_classes = check_logits(student, "student")
    teacher_shapes, student_shapes = input_shapes(teacher), input_shapes(student)
    if teacher_shapes and student_shapes and not _may_be_equal(teacher_shapes, student_shapes):
        raise ValueError(
            f"teacher and student must take the same inputs. Received: input shapes "
            f"{teacher_shapes} (teacher) and {student_shapes} (student)"
        )
    if teacher_classes and student_classes:
        check_class_counts(teacher_classes, student_classes)


def check_separate(teacher, student):
    """Raises a ValueError if a weight belongs to both: training the student would change the teacher."""
    taught = {id(weight) for weight in student.weights}
    shared = [weight for weight in teacher.weights if id(weight) in taught]
    if not shared and teacher is not student:
        return
    names = list(dict.fromkeys(weight.path.rpartition("/")[0] or weight.path for weight in shared))
    layers = ", ".join(names[:NAMED_LAYERS]) + (", ..." if len(names) > NAMED_LAYERS else "")
    raise ValueError(
        f"teacher and student share weights, and training the student would change the teacher: give the "
        f"student its own, as keras.models.clone_model(teacher) has. Received: the same weights in "
        f"{layers or 'both'} of {teacher.name!r} (teacher) and {student.name!r} (student)"
    )


def output_count(model):
    """The last size of a model's one output; None where it is not known without asking the model."""
    outputs = getattr(model, "outputs", None) or []
    return outputs[0].shape[-1] if len(outputs) == 1 else None


def check_class_counts(teacher_classes, student_classes):
    """Raises a ValueError if the two numbers of classes differ."""
    if None not in (teacher_classes, student_classes) and teacher_classes != student_classes:
        raise ValueError(
            f"teacher and student must have the same classes. "
            f"Received: {teacher_classes} (teacher) and {student_classes} (student)"
        )


def check_logits(model, role):
    """The number of classes of a network that ends in logits; None if it cannot be known yet.

    Raises:
      ValueError: if its output is not `[batch, classes]`, or is that of a softmax.
    """
    if not model.built or input_shapes(model) is None:
        _check_last_layer(model, role)
        return None
    outputs = model(_example(model), training=False)
    if not hasattr(outputs, "shape") or len(outputs.shape) != 2:
        raise ValueError(
            f"the {role} must have one output of shape [batch, classes]. "
            f"Received: {keras.tree.map_structure(lambda x: tuple(x.shape), outputs)} from {model.name!r}"
        )
    values = ops.convert_to_numpy(ops.cast(outputs, "float32"))
    if np.all(values >= 0) and np.allclose(values.sum(axis=-1), 1, atol=1e-3):
        _reject_softmax(model, role)
    return int(values.shape[-1])


def _check_last_layer(model, role):
    """What can be told of a sequential model that is not built; of a subclassed one nothing can."""
    layer = model.layers[-1] if isinstance(model, keras.Sequential) and model.layers else None
    is_softmax = getattr(layer, "activation", None) is keras.activations.softmax
    if is_softmax or isinstance(layer, keras.layers.Softmax):
        _reject_softmax(model, role)


def _reject_softmax(model, role):
    raise ValueError(
        f"distillation needs logits, but the {role} {model.name!r} ends in softmax: build it "
        f"without, for instance with activation=None or classifier_activation=None"
    )


def input_shapes(model):
    """The shapes of a model's inputs, batch included, as a list; None if they are not known yet."""
    if getattr(model, "inputs", None):
        return [tuple(x.shape) for x in model.inputs]
    shape = (model.get_build_config() or {}).get("input_shape")
    is_one_shape = isinstance(shape, (tuple, list)) and not any(map(keras.tree.is_nested, shape))
    return [tuple(shape)] if is_one_shape else None


def _may_be_equal(shapes, others):
    if len(shapes) != len(others) or any(len(a) != len(b) for a, b in zip(shapes, others, strict=True)):
        return False
    sizes = zip(sum(shapes, ()), sum(others, ()), strict=True)
    return all(a == b or a is None or b is None for a, b in sizes)


def _example(model):
    """A batch of one example of ones, with `UNKNOWN_SIZE` where the model leaves a size open."""

    def ones(shape, dtype="float32"):
        return ops.ones([1, *(size or UNKNOWN_SIZE for size in shape[1:])], dtype)

    if not getattr(model, "inputs", None):
        return ones(input_shapes(model)[0])
    return keras.tree.map_structure(lambda x: ones(x.shape, x.dtype), graph.inputs_of(model))
