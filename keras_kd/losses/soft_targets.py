"""Distillation losses as pure functions of logits, one value per example.

Everything is computed in float32 whatever comes in, and nothing is reduced here but by
`BatchMean`, so that a loss can be checked by hand and is scaled in one place.
"""

import math

import keras
from keras import ops

from keras_kd.losses.reduction import BatchMean


def check_temperature(temperature):
    """Returns `temperature` as a float.

    Raises:
      ValueError: if it is not a finite number > 0.
    """
    if not _is_number(temperature) or not math.isfinite(temperature) or temperature <= 0:
        raise ValueError(
            f"temperature must be a finite number > 0, such as 4.0. Received: temperature={temperature!r}"
        )
    return float(temperature)


def check_alpha(alpha):
    """Returns `alpha`, the weight of the teacher's term, as a float.

    Raises:
      ValueError: if it is not a number in [0, 1].
    """
    if not _is_number(alpha) or not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha, the weight of the teacher's term, must lie in [0, 1]. Received: alpha={alpha!r}"
        )
    return float(alpha)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def soft_target_kl(teacher_logits, student_logits, temperature):
    """KL(teacher || student) between softened class distributions.

    Args:
      teacher_logits: float `[batch, classes]`, unnormalised.
      student_logits: float `[batch, classes]`, unnormalised.
      temperature: softening factor, > 0, dimensionless.

    Returns:
      float32 `[batch]`, divergences in nats times `temperature**2`, so that the gradients
      keep their size as the temperature varies. Never negative.

    Raises:
      ValueError: if `temperature` is not a finite number > 0.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
    """
    temperature = check_temperature(temperature)
    teacher = _soft_log_probabilities(teacher_logits, temperature)
    student = _soft_log_probabilities(student_logits, temperature)
    p, q = ops.exp(teacher), ops.exp(student)
    # The sum of q - p is 0; with it each summand is >= 0 and small differences are not lost.
    divergence = ops.sum(p * (teacher - student) + (q - p), axis=-1)
    # Rounding may leave a tiny negative value: lift the value, leave the gradient alone.
    lift = ops.stop_gradient(ops.maximum(divergence, 0.0) - divergence)
    return temperature**2 * (divergence + lift)


def _soft_log_probabilities(logits, temperature):
    logits = ops.cast(logits, "float32")
    # The difference of two large logits is exact before the division and rounded after it.
    shifted = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    return ops.log_softmax(shifted / temperature, axis=-1)


def agreement(teacher_logits, student_logits):
    """Whether teacher and student name the same class.

    Args:
      teacher_logits: float `[batch, classes]`.
      student_logits: float `[batch, classes]`.

    Returns:
      float32 `[batch]`, 1 where the arg max is the same and 0 elsewhere.
    """
    same = ops.equal(ops.argmax(teacher_logits, axis=-1), ops.argmax(student_logits, axis=-1))
    return ops.cast(same, "float32")


@keras.saving.register_keras_serializable(package="keras_kd")
class SoftTargets(keras.distillation.DistillationLoss):
    """`soft_target_kl` as a `keras.distillation.DistillationLoss`.

    It plugs into `keras.distillation.Distiller`, whose own default is not KD (it takes the KL
    of raw logits), and may be one of the `terms` of `keras_kd.Distiller`.

    Args:
      temperature: softening factor, > 0.
    """

    def __init__(self, temperature=4.0):
        self.temperature = check_temperature(temperature)

    def per_example(self, teacher_outputs, student_outputs):
        """float32 `[batch]`: see `soft_target_kl`."""
        return soft_target_kl(teacher_outputs, student_outputs, self.temperature)

    def agreement(self, teacher_outputs, student_outputs):
        """float32 `[batch]`: see `agreement`."""
        return agreement(teacher_outputs, student_outputs)

    def check_outputs(self, count):
        """Raises a ValueError where softmax says nothing: over one output it is always 1."""
        if count == 1:
            raise ValueError(
                "softmax over one output is always 1, so there is nothing to distil: compile with "
                "keras.losses.BinaryCrossentropy(from_logits=True), or give both networks a logit per class. "
                "Received: logits of shape [batch, 1]"
            )

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """Scalar: the mean over the batch."""
        values = self.per_example(teacher_outputs, student_outputs)
        return BatchMean()(values, values)

    def get_config(self):
        return {"temperature": self.temperature}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
