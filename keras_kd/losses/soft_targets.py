"""Distillation losses as pure functions of logits, one value per example.

Everything is computed in float32 whatever comes in, and nothing is reduced here, so that a loss can be
checked by hand and is scaled in one place.
"""

import keras
from keras import ops

from keras_kd.losses.labels import class_numbers
from keras_kd.losses.terms import DistillationTerm
from keras_kd.utils import limits


def check_temperature(temperature):
    """Returns `temperature` as a float.

    Raises:
      ValueError: if it is not in `limits.TEMPERATURE`.
    """
    return float(limits.TEMPERATURE.check("temperature", temperature))


def check_alpha(alpha):
    """Returns `alpha`, the weight of the teacher's term, as a float.

    Raises:
      ValueError: if it is not a number in [0, 1].
    """
    return float(limits.ALPHA.check("alpha", alpha))


def as_pair(teacher_logits, student_logits):
    """Both as float32.

    Raises:
      ValueError: if they are of two shapes, as far as these are known: a size of 1 would stand for any other.
    """
    pair = tuple(ops.cast(logits, "float32") for logits in (teacher_logits, student_logits))
    shapes = [tuple(logits.shape) for logits in pair]
    differ = (one != other and None not in (one, other) for one, other in zip(*shapes, strict=False))
    if len(shapes[0]) != len(shapes[1]) or any(differ):
        raise ValueError(
            f"teacher and student must have logits of one shape. "
            f"Received: {shapes[0]} (teacher) and {shapes[1]} (student)"
        )
    return pair


def softened(logits, temperature):
    """float32 `(logits - max) / temperature`, row by row: softmax stays the same, and rounding is least."""
    logits = ops.cast(logits, "float32")
    return (logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))) / temperature


def soft_target_kl(teacher_logits, student_logits, temperature):
    """KL(teacher || student) between softened class distributions.

    Args:
      teacher_logits: float `[batch, classes]`, unnormalised; -inf where a class is masked.
      student_logits: float `[batch, classes]`, unnormalised.
      temperature: softening factor, > 0, dimensionless.

    Returns:
      float32 `[batch]`, divergences in nats times `temperature**2`, so that the gradients
      keep their size as the temperature varies. Never negative, and right to about 1e-5 of
      itself however small it is.

    Raises:
      ValueError: if `temperature` is not a finite number > 0, or the logits are of two shapes.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
    """
    temperature = check_temperature(temperature)
    teacher, student = as_pair(teacher_logits, student_logits)
    teacher_top, student_top = (
        ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True)) for logits in (teacher, student)
    )
    p, log_p_sum = _softmax((teacher - teacher_top) / temperature)
    q, log_q_sum = _softmax((student - student_top) / temperature)
    gap = _gap(teacher, student, teacher_top, student_top) / temperature
    log_ratio = _log_ratio(gap, p, q, log_q_sum - log_p_sum)
    return temperature**2 * ops.sum(_kl_summands(log_ratio, p, q), axis=-1)


def _softmax(logits):
    """`(probabilities, log of the sum of exponentials [batch, 1])` of logits whose maximum is 0."""
    log_sum = ops.log(ops.sum(ops.exp(logits), axis=-1, keepdims=True))
    return ops.exp(logits - log_sum), log_sum


def _gap(teacher, student, teacher_top, student_top):
    """Teacher's minus student's logits, each row's maximum being 0, with as little rounding as may be.

    What is subtracted first is exact where it is close: the networks, or each of them and its maximum.
    """
    between, within = teacher - student, (teacher - teacher_top, student - student_top)
    return ops.where(
        ops.abs(between) <= ops.abs(within[0]) + ops.abs(within[1]),
        between - (teacher_top - student_top),
        within[0] - within[1],
    )


# Up to here a gap between logits is small: log1p and the series beat the difference of two logarithms.
_SMALL = 0.5


def _log_ratio(gap, p, q, log_sums):
    """log(p / q), 0 where p is 0, from the gap between the logits and the logarithms of both sums.

    The difference of those is rounded to 1e-7, however close the networks are. Where they are, the sums'
    ratio is sum_k p_k exp(-gap_k) = 1 + sum_k p_k expm1(-gap_k), and nothing cancels.
    """
    absent = ops.equal(p, 0.0)
    nowhere = ops.logical_and(absent, ops.equal(q, 0.0))
    close = ops.all(ops.logical_or(nowhere, ops.abs(gap) <= _SMALL), axis=-1, keepdims=True)
    gap = ops.where(absent, 0.0, gap)
    small = ops.where(close, gap, 0.0)
    return gap + ops.where(close, ops.log1p(ops.sum(p * ops.expm1(-small), axis=-1, keepdims=True)), log_sums)


def _kl_summands(log_ratio, p, q):
    """p log(p / q) + q - p, which is >= 0 and sums up to the divergence: 0 log 0 is 0."""
    absent = ops.equal(p, 0.0)
    far = log_ratio < -_SMALL  # where exp(-log_ratio) may overflow
    near = p * _expm1_rest(ops.where(far, 0.0, log_ratio))
    present = ops.where(far, p * ops.where(far, log_ratio, 0.0) + (q - p), near)
    return ops.where(absent, q, present)


def _expm1_rest(x):
    """x + expm1(-x) for x >= -0.5: about x^2 / 2 where it is small, without cancellation."""
    small = ops.where(ops.abs(x) <= _SMALL, x, 0.0)
    series = 1.0
    for divisor in range(10, 2, -1):
        series = 1.0 - small / divisor * series
    return ops.where(ops.abs(x) <= _SMALL, small * small / 2 * series, x + ops.expm1(-x))


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


# Losses of labels that are one class for each example.
CLASS_LOSSES = (
    keras.losses.SparseCategoricalCrossentropy,
    keras.losses.CategoricalCrossentropy,
    keras.losses.CategoricalFocalCrossentropy,
)


@keras.saving.register_keras_serializable(package="keras_kd")
class SoftTargets(DistillationTerm):
    """`soft_target_kl` as a `keras.distillation.DistillationLoss`.

    It plugs into `keras.distillation.Distiller`, whose own default is not KD (it takes the KL
    of raw logits), and may be one of the `terms` of `keras_kd.Distiller`.

    Args:
      temperature: softening factor, > 0.
    """

    independent = False  # whether each output is a yes or no of its own

    def __init__(self, temperature=4.0):
        self.temperature = check_temperature(temperature)

    def call(self, teacher, student):
        """float32 `[batch]`: see `soft_target_kl`."""
        return soft_target_kl(teacher, student, self.temperature)

    def agreement(self, teacher_outputs, student_outputs):
        """float32 `[batch]`: see `agreement`."""
        return agreement(teacher_outputs, student_outputs)

    def accuracy(self, labels, logits):
        """float32 `[batch]`: whether the logits name the class of the labels, integers or one-hot."""
        right = ops.equal(ops.cast(ops.argmax(logits, axis=-1), "int32"), class_numbers(labels))
        return ops.cast(right, "float32")

    def check_outputs(self, count):
        """Raises a ValueError where softmax says nothing: over one output it is always 1."""
        if count == 1:
            raise ValueError(
                "softmax over one output is always 1, so there is nothing to distil: compile with "
                "keras.losses.BinaryCrossentropy(from_logits=True), or give both networks a logit per class. "
                "Received: logits of shape [batch, 1]"
            )

    def get_config(self):
        return {"temperature": self.temperature}
