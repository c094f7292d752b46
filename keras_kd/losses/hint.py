"""FitNets: the student's features are to be the teacher's."""

import keras
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.terms import FeatureTerm


def hint(teacher_features, student_features):
    """Mean squared difference of features.

    Args:
      teacher_features, student_features: float `[batch, height, width, channels]` or `[batch, ..., channels]`
        with equal channels; feature maps of different sizes are averaged to the smaller one.

    Returns:
      float32 `[batch]`, mean over positions and channels, in squared units of the features; 0 where they
      are equal.

    Raises:
      ValueError: if the shapes differ in anything else.

    Source: Romero et al. 2015, arXiv:1412.6550, equation 3, as a mean in place of half a sum.
    """
    teacher, student = features.in_one_size(teacher_features, student_features)
    features.check_equal_shapes(teacher, student)
    return ops.mean(features.rows(ops.square(teacher - student)), axis=-1)


@keras.saving.register_keras_serializable(package="keras_kd")
class Hint(FeatureTerm):
    """`hint` between layers, summed over them: by default the ends of all stages of one height and width.

    Where channels differ, a 1x1 convolution (`Dense` where there are no positions) of the student's features
    is trained with the student; only the Distiller has its weights.

    Args:
      teacher_layers, student_layers: names of layers, as many of each; None: the ends of the stages.

    Source: Romero et al. 2015 (FitNets), arXiv:1412.6550; the weight
    is that of RepDistiller, arXiv:1910.10699.
    """

    weight = 100.0

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared: sizes without common windows, or channels that are not known."""
        return features.why_not_in_one_size(teacher_shape, student_shape) or features.why_no_channels(
            teacher_shape, student_shape
        )

    def make_adaptor(self, teacher_shapes, student_shapes):
        """A `ForEachPair` of 1x1 convolutions; None where all channels are equal."""
        pairs = list(zip(teacher_shapes, student_shapes, strict=True))
        if all(teacher[-1] == student[-1] for teacher, student in pairs):
            return None
        return features.ForEachPair(
            keras.layers.Identity(dtype="float32")
            if teacher[-1] == student[-1]
            else features.over_channels(student, teacher[-1])
            for teacher, student in pairs
        )

    def call(self, teacher, student, adaptor=None):
        """float32 `[batch]`: the sum of `hint` over the pairs of layers."""
        return super().call(teacher, student if adaptor is None else adaptor(student))

    def compare(self, teacher, student):
        """float32 `[batch]`: see `hint`."""
        return hint(teacher, student)
