"""The teacher's probability of the labelled class, and the normalised ones of the others (NKD)."""

import keras
from keras import ops

from keras_kd.losses.labels import is_target, of_labelled, without_target
from keras_kd.losses.soft_targets import as_pair, check_temperature, softened
from keras_kd.losses.terms import DistillationTerm
from keras_kd.utils import limits


def normalized_kd(labels, teacher_logits, student_logits, nontarget_weight=1.5, temperature=1.0):
    """-p_teacher,y log p_student,y - nontarget_weight T^2 sum over i != y of q_teacher,i log q_student,i.

    p = softmax(z), unsoftened; q = softmax(z / T) over the classes other than the labelled one, y.

    Args:
      labels: int `[batch]`, or one-hot `[batch, classes]` (smoothed or mixed: the largest counts).
      teacher_logits: float `[batch, classes]`, unnormalised; -inf where a class is masked.
      student_logits: float `[batch, classes]`, unnormalised and finite: where both mask a class it is NaN.
      nontarget_weight: of the classes other than y; the paper's gamma.
      temperature: softening factor T of q, > 0, dimensionless; the paper's lambda.

    Returns:
      float32 `[batch]`, cross-entropies in nats, so not 0 where student = teacher but
      -p_y log p_y + nontarget_weight T^2 H(q), with H the entropy. They stay above the second summand with
      the teacher's q, and come near it where q is the teacher's and the student's p_y near 1. 0 for a label
      that is no class (`ignore_class=-1`).

    Raises:
      ValueError: if `temperature` is not in `limits.TEMPERATURE`, the logits are of two shapes, or one-hot
        labels of other classes.

    Source: Yang et al. 2023, From knowledge distillation to self-knowledge distillation, arXiv:2303.13005,
    equation 8.
    """
    temperature = check_temperature(temperature)
    teacher, student = as_pair(teacher_logits, student_logits)
    one_hot = is_target(labels, ops.shape(teacher)[-1])
    target = one_hot * ops.softmax(teacher, axis=-1) * ops.log_softmax(student, axis=-1)
    teacher, student = (
        softened(without_target(labels, logits), temperature) for logits in (teacher, student)
    )
    log_q = ops.where(one_hot > 0, 0.0, ops.log_softmax(student, axis=-1))  # 0 log 0 is 0
    nontarget = ops.softmax(teacher, axis=-1) * log_q
    return of_labelled(one_hot, -ops.sum(target + nontarget_weight * temperature**2 * nontarget, axis=-1))


@keras.saving.register_keras_serializable(package="keras_kd")
class NormalizedTargets(DistillationTerm):
    """`normalized_kd` as a term of `keras_kd.Distiller`.

    Args:
      nontarget_weight: of the classes other than the labelled one.
      temperature: their softening factor, > 0.
    """

    asks_labels = True
    least_outputs = 2

    def __init__(self, nontarget_weight=1.5, temperature=1.0):
        self.nontarget_weight = float(limits.TERM_WEIGHT.check("nontarget_weight", nontarget_weight))
        self.temperature = check_temperature(temperature)

    def call(self, teacher, student, labels):
        """float32 `[batch]`: see `normalized_kd`."""
        return normalized_kd(labels, teacher, student, self.nontarget_weight, self.temperature)

    def get_config(self):
        return {"nontarget_weight": self.nontarget_weight, "temperature": self.temperature}
