"""Whether a teacher and a student fit together: class counts, input shapes."""

import keras

from keras_kd.models import network_checks, outputs
from keras_kd.utils import checks

NAMED_LAYERS = 5  # of many, in a message


def check_pair(teacher, student, *, independent=False):
    """Checks what can be known before the first batch.

    Args:
      teacher, student: `keras.Model`s.
      independent: as for `outputs.with_logits`.

    Raises:
      ValueError: if a network's logits cannot be had, or (once both are built) their input shapes or class
        counts differ or they share weights.
    """
    for model, role in ((teacher, "teacher"), (student, "student")):
        network_checks.check_network(model, role)
    check_separate(teacher, student)
    teacher_classes = check_classes(teacher, "teacher", independent=independent)
    student_classes = check_classes(student, "student", independent=independent)
    teacher_shapes, student_shapes = outputs.input_shapes(teacher), outputs.input_shapes(student)
    if teacher_shapes and student_shapes and not checks.may_be_equal(teacher_shapes, student_shapes):
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
    tensors = getattr(model, "outputs", None) or []
    return tensors[0].shape[-1] if len(tensors) == 1 else None


def check_class_counts(teacher_classes, student_classes):
    """Raises a ValueError if the two numbers of classes differ."""
    if None not in (teacher_classes, student_classes) and teacher_classes != student_classes:
        raise ValueError(
            f"teacher and student must have the same classes. "
            f"Received: {teacher_classes} (teacher) and {student_classes} (student)"
        )


def check_classes(model, role, *, independent=False):
    """The number of a network's classes; None if it cannot be known yet.

    Raises:
      ValueError: if its output is not `[batch, classes]`, or its logits cannot be had.
    """
    network_checks.check_network(model, role)
    outputs.with_logits(model, role, independent=independent)
    if not model.built or outputs.input_shapes(model) is None:
        return None
    returned = outputs.returned_by(model)
    if not hasattr(returned, "shape") or len(returned.shape) != 2:
        raise ValueError(
            f"the {role} must have one output of shape [batch, classes]. "
            f"Received: {keras.tree.map_structure(lambda x: tuple(x.shape), returned)} from {model.name!r}"
        )
    return returned.shape[-1]
