"""Soft targets of standardised logits: the student copies their pattern, not their mean and size."""

import keras
from keras import ops

from keras_kd.losses.soft_targets import check_temperature, soft_target_kl, softened
from keras_kd.losses.terms import DistillationTerm

_EPSILON = 1e-7


def standardized_kl(teacher_logits, student_logits, temperature):
    """`soft_target_kl` of (z - mean(z)) / (std(z) + 1e-7), mean and std of each row.

    The std divides by the number of classes, as the paper's does (the authors' code: by one less). A row of
    equal logits has no pattern: it stands for equal probabilities, and has no gradient.

    Args:
      teacher_logits: float `[batch, classes]`, unnormalised and finite: masked classes (-inf) leave a row no
        mean and size, and give NaN.
      student_logits: as `teacher_logits`.
      temperature: softening factor of the standardised logits, > 0, dimensionless.

    Returns:
      float32 `[batch]`, divergences in nats times `temperature**2`. Never negative; 0 where the student's
      logits are the teacher's times a number > 0, plus a number.

    Raises:
      ValueError: if `temperature` is not in `limits.TEMPERATURE`.

    Source: Sun et al. 2024, Logit standardization in knowledge distillation, arXiv:2403.01427, section 4.
    """
    return soft_target_kl(_standardized(teacher_logits), _standardized(student_logits), temperature)


def _standardized(logits):
    """Logits of mean 0 and standard deviation 1, row by row; 0 where a row is constant."""
    logits = softened(logits, 1.0)
    centred = logits - ops.mean(logits, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    varies = variance > 0
    # The square root of 0 has no gradient, not even where `where` leaves it out.
    scale = 1 / (ops.sqrt(ops.where(varies, variance, 1.0)) + _EPSILON)
    return centred * ops.where(varies, scale, 0.0)


@keras.saving.register_keras_serializable(package="keras_kd")
class StandardizedTargets(DistillationTerm):
    """`standardized_kl` as a `keras.distillation.DistillationLoss`.

    Args:
      temperature: softening factor of the standardised logits, > 0.
    """

    least_outputs = 2
    weight = 9.0
    label_weight = 0.1

    def __init__(self, temperature=2.0):
        self.temperature = check_temperature(temperature)

    def call(self, teacher, student):
        """float32 `[batch]`: see `standardized_kl`."""
        return standardized_kl(teacher, student, self.temperature)

    def get_config(self):
        return {"temperature": self.temperature}
