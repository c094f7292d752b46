"""Correlation of teacher and student within each example and within each class (DIST)."""

import keras
from keras import ops

from keras_kd.losses.soft_targets import as_pair, check_temperature, softened
from keras_kd.losses.terms import DistillationTerm
from keras_kd.utils import limits

# Probabilities that differ by less, relative to the largest, are equal: float32 does not tell them apart.
_RESOLUTION = 1e-6


def dist(teacher_logits, student_logits, temperature=1.0, inter_weight=1.0, intra_weight=1.0):
    """T^2 (inter_weight mean over rows (1 - corr) + intra_weight mean over columns (1 - corr)).

    corr is Pearson's correlation of softmax(z / T) of teacher and student: in a row that of one example's
    classes, in a column that of one class in all examples. It counts as 0 where one of the two is constant
    (to 1e-6 of its largest): in batches of one example that is each column.

    Args:
      teacher_logits: float `[batch, classes]`, unnormalised; -inf where a class is masked.
      student_logits: float `[batch, classes]`, unnormalised and finite: where both mask a class the gradient
        is NaN.
      temperature: softening factor T, > 0, dimensionless.
      inter_weight: of the rows; the paper's beta.
      intra_weight: of the columns; the paper's gamma.

    Returns:
      float32 scalar, dimensionless. Where student = teacher it is 0, or
      T^2 (inter_weight r + intra_weight c) if the shares r of the rows and c of the columns are constant.

    Raises:
      ValueError: if `temperature` is not in `limits.TEMPERATURE`, or the logits are of two shapes.

    Source: Huang et al. 2022, Knowledge distillation from a stronger teacher, arXiv:2205.10536, equations 7
    to 10.
    """
    temperature = check_temperature(temperature)
    both = as_pair(teacher_logits, student_logits)
    teacher, student = (ops.log_softmax(softened(logits, temperature), axis=-1) for logits in both)
    inter, intra = (ops.mean(_one_minus_correlation(teacher, student, axis)) for axis in (1, 0))
    return temperature**2 * (inter_weight * inter + intra_weight * intra)


def _one_minus_correlation(teacher, student, axis):
    """1 - corr along an axis of log-probabilities, without cancellation where it is small."""
    teacher, teacher_varies = _unit(teacher, axis)
    student, student_varies = _unit(student, axis)
    both = ops.logical_and(teacher_varies, student_varies)
    half_square = ops.sum(ops.square(teacher - student), axis=axis, keepdims=True) / 2
    return ops.where(both, half_square, 1.0)


def _unit(log_probabilities, axis):
    """`(unit vectors, whether they are any)`: probabilities minus their mean, over their norm.

    A factor does not change them, so that the largest may be 1: none is too small for float32 then.
    """
    top = ops.stop_gradient(ops.max(log_probabilities, axis=axis, keepdims=True))
    values = ops.expm1(log_probabilities - top)
    varies = ops.min(values, axis=axis, keepdims=True) < -_RESOLUTION
    centred = values - ops.mean(values, axis=axis, keepdims=True)
    square = ops.sum(ops.square(centred), axis=axis, keepdims=True)
    # The square root of 0 has no gradient, not even where `where` leaves it out.
    norm = ops.sqrt(ops.where(varies, square, 1.0))
    return ops.where(varies, centred / norm, 0.0), varies


@keras.saving.register_keras_serializable(package="keras_kd")
class Dist(DistillationTerm):
    """`dist` as a `keras.distillation.DistillationLoss`; by default as the paper sets it for CIFAR.

    Args:
      temperature: softening factor, > 0; the paper takes 1 for ImageNet.
      inter_weight, intra_weight: of examples and of classes; the paper takes 1 for ImageNet.
    """

    compares_examples = True
    least_outputs = 2

    def __init__(self, temperature=4.0, inter_weight=2.0, intra_weight=2.0):
        self.temperature = check_temperature(temperature)
        weights = limits.check_weights(inter_weight=inter_weight, intra_weight=intra_weight)
        self.inter_weight, self.intra_weight = weights

    def call(self, teacher, student):
        """float32 scalar: see `dist`."""
        return dist(teacher, student, self.temperature, self.inter_weight, self.intra_weight)

    def get_config(self):
        return {name: getattr(self, name) for name in ("temperature", "inter_weight", "intra_weight")}
