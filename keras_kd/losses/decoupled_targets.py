"""Soft targets in two parts, the labelled class against the rest and the rest among itself (DKD)."""

import keras
from keras import ops

from keras_kd.losses.labels import is_target, of_labelled, without_target
from keras_kd.losses.soft_targets import as_pair, check_temperature, soft_target_kl, softened
from keras_kd.losses.terms import DistillationTerm
from keras_kd.utils import limits


def decoupled_kl(
    labels, teacher_logits, student_logits, temperature, target_weight=1.0, nontarget_weight=8.0
):
    """T^2 (target_weight KL(b_teacher || b_student) + nontarget_weight KL(q_teacher || q_student)).

    With p = softmax(z / T): b = [p_y, 1 - p_y] of the labelled class y, and q is the softmax over the others.

    Args:
      labels: int `[batch]`, or one-hot `[batch, classes]` (smoothed or mixed: the largest counts).
      teacher_logits: float `[batch, classes]`, unnormalised.
      student_logits: float `[batch, classes]`, unnormalised.
      temperature: softening factor T, > 0, dimensionless.
      target_weight, nontarget_weight: of the two divergences; the paper's alpha and beta.

    Returns:
      float32 `[batch]`, in nats times `temperature**2`; 0 where the softened probabilities are the same, and
      for a label that is no class (`ignore_class=-1`).

    Raises:
      ValueError: if `temperature` is not in `limits.TEMPERATURE`, the logits are of two shapes, or one-hot
        labels of other classes.

    Source: Zhao et al. 2022, Decoupled knowledge distillation, arXiv:2203.08679, equation 7.
    """
    temperature = check_temperature(temperature)
    both = as_pair(teacher_logits, student_logits)
    odds = (_target_and_rest(labels, softened(logits, temperature)) for logits in both)
    others = (without_target(labels, logits) for logits in both)
    target, nontarget = soft_target_kl(*odds, 1.0), soft_target_kl(*others, temperature)
    one_hot = is_target(labels, ops.shape(both[0])[-1])
    return of_labelled(one_hot, temperature**2 * target_weight * target + nontarget_weight * nontarget)


def _target_and_rest(labels, logits):
    """`[batch, 2]` logits of the labelled class and of all others together."""
    target = ops.sum(ops.where(is_target(labels, ops.shape(logits)[-1]) > 0, logits, 0.0), axis=-1)
    rest = ops.logsumexp(without_target(labels, logits), axis=-1)
    return ops.stack([target, rest], axis=-1)


@keras.saving.register_keras_serializable(package="keras_kd")
class DecoupledTargets(DistillationTerm):
    """`decoupled_kl` as a term of `keras_kd.Distiller`.

    Args:
      temperature: softening factor, > 0.
      target_weight: of the labelled class against the rest.
      nontarget_weight: of the rest among itself; the paper takes 2 where the two networks are alike.
    """

    asks_labels = True
    least_outputs = 2
    warmup = 20 / 240  # epochs of the paper's

    def __init__(self, temperature=4.0, target_weight=1.0, nontarget_weight=8.0):
        self.temperature = check_temperature(temperature)
        weights = limits.check_weights(target_weight=target_weight, nontarget_weight=nontarget_weight)
        self.target_weight, self.nontarget_weight = weights

    def call(self, teacher, student, labels):
        """float32 `[batch]`: see `decoupled_kl`."""
        weights = self.target_weight, self.nontarget_weight
        return decoupled_kl(labels, teacher, student, self.temperature, *weights)

    def get_config(self):
        names = "temperature", "target_weight", "nontarget_weight"
        return {name: getattr(self, name) for name in names}
