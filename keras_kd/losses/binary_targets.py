"""Distillation of independent yes-or-no outputs: one logit each, as `BinaryCrossentropy` takes them."""

import keras
from keras import ops

from keras_kd.losses.soft_targets import SoftTargets, soft_target_kl

BINARY_LOSSES = (keras.losses.BinaryCrossentropy, keras.losses.BinaryFocalCrossentropy)


def bernoulli_kl(teacher_logits, student_logits, temperature):
    """KL(teacher || student) between softened probabilities of yes and no, averaged over the outputs.

    Args:
      teacher_logits: float `[batch, outputs]`; the probability of yes is sigmoid(logit / temperature).
      student_logits: float `[batch, outputs]`.
      temperature: softening factor, > 0, dimensionless.

    Returns:
      float32 `[batch]`, mean divergences in nats times `temperature**2`. Never negative. With one output it
      is `soft_target_kl` of the two classes whose logits are 0 and the output.

    Raises:
      ValueError: if `temperature` is not a finite number > 0.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2, for each output.
    """
    return ops.mean(
        soft_target_kl(_no_and_yes(teacher_logits), _no_and_yes(student_logits), temperature), axis=-1
    )


def _no_and_yes(logits):
    """`[batch, outputs]` to `[batch, outputs, 2]`: softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)).

    Or of (-z, 0), so that a logit may be infinite on either side.
    """
    logits = ops.cast(logits, "float32")
    is_yes, zeros = logits > 0, ops.zeros_like(logits)
    return ops.stack([ops.where(is_yes, -logits, zeros), ops.where(is_yes, zeros, logits)], axis=-1)


def decision_agreement(teacher_logits, student_logits):
    """The share of outputs for which teacher and student decide alike, yes being a logit > 0.

    Args:
      teacher_logits: float `[batch, outputs]`.
      student_logits: float `[batch, outputs]`.

    Returns:
      float32 `[batch]`, in [0, 1].
    """
    same = ops.equal(ops.greater(teacher_logits, 0), ops.greater(student_logits, 0))
    return ops.mean(ops.cast(same, "float32"), axis=-1)


def right_decisions(labels, logits):
    """The share of outputs that decide as the labels do.

    Args:
      labels: 0 or 1, `[batch, outputs]`, or `[batch]` of one output.
      logits: float `[batch, outputs]`.

    Returns:
      float32 `[batch]`, in [0, 1].
    """
    labels = ops.reshape(ops.cast(labels, "float32"), ops.shape(logits))
    return decision_agreement(labels - 0.5, logits)


@keras.saving.register_keras_serializable(package="keras_kd")
class BinarySoftTargets(SoftTargets):
    """`bernoulli_kl` as a `keras.distillation.DistillationLoss`.

    Args:
      temperature: softening factor, > 0.
    """

    independent = True

    def call(self, teacher, student):
        """float32 `[batch]`: see `bernoulli_kl`."""
        return bernoulli_kl(teacher, student, self.temperature)

    def agreement(self, teacher_outputs, student_outputs):
        """float32 `[batch]`: see `decision_agreement`."""
        return decision_agreement(teacher_outputs, student_outputs)

    def accuracy(self, labels, logits):
        """float32 `[batch]`: see `right_decisions`."""
        return right_decisions(labels, logits)

    def check_outputs(self, count):
        """Any number of outputs will do."""


def soft_targets_for(label_loss, temperature):
    """The teacher's term that goes with a loss of the labels.

    Args:
      label_loss: a `keras.losses.Loss` on logits, or None.
      temperature: softening factor, > 0.

    Returns:
      `BinarySoftTargets` where each output is a yes or no of its own, else `SoftTargets`.
    """
    kind = BinarySoftTargets if isinstance(label_loss, BINARY_LOSSES) else SoftTargets
    return kind(temperature)
