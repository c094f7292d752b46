"""Soft targets of examples, pairs of examples and pairs of classes, at several temperatures (MLKD)."""

import keras
from keras import ops

from keras_kd.losses.soft_targets import check_temperature, soft_target_kl, softened
from keras_kd.losses.terms import DistillationTerm
from keras_kd.utils import checks


def multi_level_kl(teacher_logits, student_logits, temperatures=(2, 3, 4, 5, 6)):
    """Sum over T of T^2 mean KL + ||G_teacher - G_student||^2/batch + ||M_teacher - M_student||^2/classes.

    With p = softmax(z / T) `[batch, classes]`: G = p p^T between examples, M = p^T p between classes, and the
    squared Frobenius norm of their differences. KL is `soft_target_kl` / T^2.

    Args:
      teacher_logits: float `[batch, classes]`, unnormalised.
      student_logits: float `[batch, classes]`, unnormalised.
      temperatures: softening factors T, > 0, dimensionless, or one of them.

    Returns:
      float32 scalar; 0 where the softened probabilities are the same.

    Raises:
      ValueError: if there is no temperature, or one is not in `limits.TEMPERATURE`.

    Source: Jin et al. 2023, Multi-level logit distillation, CVPR, equations 4 to 8, with all temperatures at
    all levels as in the authors' code; without its second view of the images and its masks of confident
    examples and classes.
    """
    temperatures = _check_temperatures(temperatures)
    return sum(_levels(teacher_logits, student_logits, temperature) for temperature in temperatures)


def _levels(teacher, student, temperature):
    kl = ops.mean(soft_target_kl(teacher, student, temperature))
    p, q = (ops.softmax(softened(logits, temperature), axis=-1) for logits in (teacher, student))
    p_turned, q_turned = ops.transpose(p), ops.transpose(q)
    between_examples = ops.matmul(p, p_turned) - ops.matmul(q, q_turned)
    between_classes = ops.matmul(p_turned, p) - ops.matmul(q_turned, q)
    return kl + _square_per_row(between_examples) + _square_per_row(between_classes)


def _square_per_row(matrix):
    """The squared Frobenius norm over the number of rows."""
    return ops.mean(ops.sum(ops.square(matrix), axis=-1))


def _check_temperatures(temperatures):
    temperatures = [temperatures] if checks.is_real(temperatures) else temperatures
    try:
        found = tuple(check_temperature(each) for each in temperatures)
    except TypeError:
        found = ()
    if not found:
        raise ValueError(
            f"temperatures must be a list of one or more numbers. Received: temperatures={temperatures!r}"
        )
    return found


@keras.saving.register_keras_serializable(package="keras_kd")
class MultiLevelTargets(DistillationTerm):
    """`multi_level_kl` as a `keras.distillation.DistillationLoss`.

    Args:
      temperatures: softening factors, > 0, or one of them.
    """

    compares_examples = True
    least_outputs = 2
    weight = 0.9
    label_weight = 0.1

    def __init__(self, temperatures=(2, 3, 4, 5, 6)):
        self.temperatures = _check_temperatures(temperatures)

    def call(self, teacher, student):
        """float32 scalar: see `multi_level_kl`."""
        return multi_level_kl(teacher, student, self.temperatures)

    def get_config(self):
        return {"temperatures": list(self.temperatures)}
