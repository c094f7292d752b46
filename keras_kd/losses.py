"""Distillation losses as pure functions of logits, one value per example.

Everything is computed in float32 whatever comes in, and nothing is reduced here but by
`BatchMean`, so that a loss can be checked by hand and is scaled in one place.
"""

import copy
import math

import keras
from keras import ops


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


class BatchMean(keras.losses.Loss):
    """Reduces `[batch]` values as Keras reduces a loss, under `tf.distribute` as well.

    Called as `BatchMean()(values, values, sample_weight)`. On N replicas the mean over a
    replica's examples is divided by N, so that the gradients, which are summed over the
    replicas, are those of the mean over the global batch. A bare `ops.mean` is N times too big.
    """

    def __init__(self, reduction="sum_over_batch_size", name="batch_mean"):
        super().__init__(name=name, reduction=reduction, dtype="float32")

    def call(self, y_true, y_pred):
        return y_pred


def replica_share():
    """1 / number of replicas: what Keras makes of a loss of one. Its only public word on that."""
    one = ops.ones((1,))
    return BatchMean()(one, one)


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

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """Scalar: the mean over the batch."""
        values = self.per_example(teacher_outputs, student_outputs)
        return BatchMean()(values, values)

    def get_config(self):
        return {"temperature": self.temperature}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def per_example(term, teacher_outputs, student_outputs):
    """Asks any `keras.distillation.DistillationLoss` for one value per example.

    Keras's terms answer with one scalar for the whole batch, in which no example can be
    weighted any more. They are asked about one example at a time instead; the losses inside
    them must not reduce (see `without_reduction`).

    Args:
      term: a `DistillationLoss`; one with a method `per_example` is asked by that.
      teacher_outputs: tensor `[batch, ...]`, or a structure of such.
      student_outputs: as `teacher_outputs`.

    Returns:
      float32 `[batch]`.
    """
    if hasattr(term, "per_example"):
        return term.per_example(teacher_outputs, student_outputs)

    def of_one_example(outputs):
        teacher, student = keras.tree.map_structure(
            lambda x: ops.cast(ops.expand_dims(x, 0), "float32"), outputs
        )
        return term.compute_loss(teacher, student)

    return ops.vectorized_map(of_one_example, (teacher_outputs, student_outputs))


def without_reduction(term):
    """A copy of a `DistillationLoss` whose inner `keras.losses.Loss` objects do not reduce.

    A `Loss` that reduces also divides by the number of replicas, which `BatchMean` does again.
    """
    if not hasattr(term, "loss"):
        return term

    def unreduced(loss):
        if isinstance(loss, keras.losses.Loss):
            return type(loss).from_config({**loss.get_config(), "reduction": "none"})
        return loss

    term = copy.copy(term)
    term.loss = keras.tree.map_structure(unreduced, term.loss)
    return term


def label_loss(loss):
    """The `keras.losses.Loss` on logits that `compile(loss=...)` names.

    Args:
      loss: a name, a function of `(y_true, y_pred)`, or a `keras.losses.Loss`.

    Returns:
      A `keras.losses.Loss` that reduces.

    Raises:
      ValueError: for a loss of probabilities, one that does not reduce, or several losses.
    """
    if keras.tree.is_nested(loss):
        raise ValueError(f"one loss is needed, for the labels. Received: loss={loss!r}")
    found = keras.losses.get(loss)
    takes_probabilities = (
        found in PROBABILITY_LOSSES
        or isinstance(found, keras.losses.KLDivergence)
        or getattr(found, "get_config", dict)().get("from_logits") is False
    )
    if takes_probabilities:
        raise ValueError(
            "the networks return logits, but this loss takes probabilities: use for instance "
            f"keras.losses.SparseCategoricalCrossentropy(from_logits=True). Received: loss={loss!r}"
        )
    if not isinstance(found, keras.losses.Loss):
        return _FunctionLoss(found)
    if found.reduction in (None, "none"):
        raise ValueError(f"the loss must reduce to a scalar. Received: reduction={found.reduction!r}")
    return found


PROBABILITY_LOSSES = (
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_crossentropy,
    keras.losses.categorical_focal_crossentropy,
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
    keras.losses.kl_divergence,
)


class _FunctionLoss(keras.losses.Loss):
    """A function of `(y_true, y_pred)` with one value per example, as a `Loss`."""

    def __init__(self, function):
        super().__init__(name="label_loss")
        self._function = function

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)
