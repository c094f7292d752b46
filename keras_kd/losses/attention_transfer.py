"""Attention transfer: the student is to look where the teacher looks."""

import keras
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.terms import FeatureTerm


def attention_transfer(teacher_features, student_features):
    """Mean squared difference of attention maps.

    An attention map is the mean over channels of the squared features, flattened and divided by its L2 norm:
    it does not depend on the scale of the features, nor on the number of channels. Features that are all 0
    have the map 0.

    Args:
      teacher_features, student_features: float `[batch, height, width, channels]` or `[batch, positions,
        channels]`; feature maps of different sizes are averaged to the smaller one.

    Returns:
      float32 `[batch]`, mean over positions, without unit; 0 where the maps are equal.

    Raises:
      ValueError: for features without positions, or whose heights or widths are no multiples of each other.

    Source: Zagoruyko and Komodakis 2017, arXiv:1612.03928, equation 2 with p = 2, as a mean in place of
    half a norm, as in the authors' code.
    """
    if len(teacher_features.shape) < 3:
        raise ValueError(
            "attention is over positions: give features [batch, height, width, channels]. "
            f"Received: shape {tuple(teacher_features.shape)} (teacher)"
        )
    teacher, student = map(_attention, features.in_one_size(teacher_features, student_features))
    features.check_equal_shapes(teacher, student)
    return ops.mean(ops.square(teacher - student), axis=-1)


def _attention(maps):
    """`[batch, positions]`, of length 1."""
    maps = features.rescaled(maps, axis=tuple(range(1, len(maps.shape))))
    return features.unit(features.rows(ops.mean(ops.square(maps), axis=-1)))


@keras.saving.register_keras_serializable(package="keras_kd")
class AttentionTransfer(FeatureTerm):
    """`attention_transfer` summed over layers: by default the ends of all stages of one height and width.

    Args:
      teacher_layers, student_layers: names of layers, as many of each; None: the ends of the stages.

    Source: Zagoruyko and Komodakis 2017, arXiv:1612.03928.
    """

    weight = 1000.0

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared: no positions, or sizes without common windows."""
        reason = features.why_not_in_one_size(teacher_shape, student_shape)
        return reason or ("" if len(teacher_shape) > 2 else "take layers with feature maps")

    def compare(self, teacher, student):
        """float32 `[batch]`: see `attention_transfer`."""
        return attention_transfer(teacher, student)
