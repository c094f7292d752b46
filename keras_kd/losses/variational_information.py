"""Variational information distillation: the student's features are to predict the teacher's."""

import keras
import numpy as np
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.terms import FeatureTerm

# The authors' values: below all variances, and where they begin.
_SMALLEST_VARIANCE = 1e-5
_FIRST_VARIANCE = 5.0


def gaussian_nll(teacher_features, mean, variance):
    """Negative log-likelihood of the teacher's features under a Gaussian, log(2 pi) / 2 left out.

    Args:
      teacher_features, mean: float `[batch, ..., channels]` of one shape, height and width aside, which are
        averaged to the smaller ones.
      variance: float `[channels]`, > 0.

    Returns:
      float32 `[batch]`: mean over positions and channels of ((t - mean)^2 / variance + log variance) / 2, in
      nats. Its minimum is the mean of log(variance) / 2, where the mean is right: negative for variances
      below 1.

    Raises:
      ValueError: if the shapes differ in anything else.

    Source: Ahn et al. 2019, arXiv:1904.05835, equation 5.
    """
    teacher, mean = features.in_one_size(teacher_features, mean)
    features.check_equal_shapes(teacher, mean)
    variance = ops.cast(variance, "float32")
    return 0.5 * ops.mean(features.rows(ops.square(teacher - mean) / variance + ops.log(variance)), axis=-1)


class GaussianRegressor(keras.Layer):
    """What the student's features at a layer say of the teacher's: a mean, and a variance a channel.

    The mean comes from three 1x1 convolutions with ReLUs between them (`Dense` where there is no map), the
    variance is softplus of one weight a channel, plus 1e-5, and begins at 5; all in float32.

    Args:
      teacher_shape, student_shape: batch included.
    """

    def __init__(self, teacher_shape, student_shape):
        super().__init__(dtype="float32")
        channels = teacher_shape[-1]
        inner = (*student_shape[:-1], channels)
        self.maps = [features.over_channels(shape, channels) for shape in (student_shape, inner, inner)]
        first = keras.initializers.Constant(np.log(np.expm1(_FIRST_VARIANCE - _SMALLEST_VARIANCE)))
        self.raw_variance = self.add_weight(shape=(channels,), initializer=first, name="raw_variance")
        self.built = True

    def call(self, student_features):
        """`(mean [batch, ..., channels], variance [channels])`."""
        first, second, third = self.maps
        mean = third(ops.relu(second(ops.relu(first(student_features)))))
        return mean, ops.softplus(self.raw_variance) + _SMALLEST_VARIANCE


@keras.saving.register_keras_serializable(package="keras_kd")
class VariationalInformation(FeatureTerm):
    """`gaussian_nll` of the teacher's layers given the student's, summed: by default over the ends of stages.

    Mean and variance are those of a `GaussianRegressor`, trained with the student; only the Distiller has
    its weights.

    Args:
      teacher_layers, student_layers: names of layers, as many of each; None: the ends of the stages.

    Source: Ahn et al. 2019 (VID), arXiv:1904.05835.
    """

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared: sizes without common windows, or channels that are not known."""
        return features.why_not_in_one_size(teacher_shape, student_shape) or features.why_no_channels(
            teacher_shape, student_shape
        )

    def make_adaptor(self, teacher_shapes, student_shapes):
        """A `ForEachPair` of `GaussianRegressor`s."""
        return features.ForEachPair(map(GaussianRegressor, teacher_shapes, student_shapes))

    def call(self, teacher, student, adaptor):
        """float32 `[batch]`: the sum over the pairs of layers."""
        pairs = zip(teacher, adaptor(student), strict=True)
        return sum(gaussian_nll(maps, *predicted) for maps, predicted in pairs)
