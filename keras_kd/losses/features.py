"""What losses of features share: one size for two networks, lengths with gradients at 0, layers per pair."""

import keras
from keras import ops

from keras_kd.models.stages import DEPTH
from keras_kd.utils import checks


def in_one_size(teacher, student):
    """Two layers' features with positions to compare one by one.

    Args:
      teacher, student: float `[batch, height, width, channels]`: where the heights or widths differ, the
        larger is averaged over windows. Of any other shape they stay as they are.

    Returns:
      Both in float32.

    Raises:
      ValueError: where `why_not_in_one_size` says something.
    """
    if reason := why_not_in_one_size(tuple(teacher.shape), tuple(student.shape)):
        raise ValueError(
            f"these features cannot be compared: {reason}. "
            f"Received: shapes {tuple(teacher.shape)} (teacher) and {tuple(student.shape)} (student)"
        )
    teacher, student = (ops.cast(features, "float32") for features in (teacher, student))
    return _pooled(teacher, student.shape), _pooled(student, teacher.shape)


def _pooled(features, other):
    if len(features.shape) != DEPTH:
        return features
    window = window_between(features.shape, other)
    if window == (1, 1):
        return features
    return ops.average_pool(features, window, strides=window, data_format="channels_last")


def window_between(shape, other):
    """Height and width of the windows over which maps are averaged to the size of others; 1 where not larger.

    Args:
      shape, other: `(batch, height, width, channels)`; None where a size is open.
    """
    pairs = zip(shape[1:3], other[1:3], strict=True)
    return tuple(own // size if own and size and own > size else 1 for own, size in pairs)


def why_not_in_one_size(teacher_shape, student_shape):
    """Why `in_one_size` cannot bring two shapes together, channels aside; "" where it can.

    Args:
      teacher_shape, student_shape: batch included; None where a size is open.
    """
    if not (checks.is_shape(teacher_shape) and checks.is_shape(student_shape)):
        return "take layers with one output of a known shape each"
    if len(teacher_shape) != len(student_shape) or len(teacher_shape) == 1:
        return "take layers whose outputs have equally many axes, two or more"
    for one, other in zip(teacher_shape[1:-1], student_shape[1:-1], strict=True):
        if one != other and len(teacher_shape) != DEPTH:
            return "take layers of as many positions"
        if one and other and max(one, other) % min(one, other):
            return "take layers of one height and width, or where one is a whole multiple of the other"
    return ""


def why_no_rows(*shapes):
    """Why layers have no row of features for each example; "" where they have."""
    if not all(map(checks.is_shape, shapes)):
        return "take layers with one output of a known shape each"
    return "" if all(len(shape) > 1 for shape in shapes) else "take layers with features of each example"


def why_no_channels(*shapes):
    """Why layers of these shapes have no channels to map; "" where they have."""
    return "take layers with a known number of channels" if any(s[-1] is None for s in shapes) else ""


def check_equal_shapes(teacher, student):
    """Raises a ValueError where features differ in more than the batch: they would be repeated unasked."""
    if tuple(teacher.shape[1:]) != tuple(student.shape[1:]):
        raise ValueError(
            "features of as many channels and positions are needed. "
            f"Received: shapes {tuple(teacher.shape)} (teacher) and {tuple(student.shape)} (student)"
        )


def rows(features):
    """float32 `[batch, features]` of features of any shape `[batch, ...]`."""
    features = ops.cast(features, "float32")
    return ops.reshape(features, (ops.shape(features)[0], -1))


def rescaled(features, axis=None):
    """Features divided by their largest absolute value, over all or some axes; 0 stays 0.

    For losses that do not depend on the scale: squares neither overflow nor vanish. The divisor is a
    constant of the gradient.
    """
    largest = ops.stop_gradient(ops.max(ops.abs(features), axis=axis, keepdims=True))
    return features / ops.where(ops.equal(largest, 0.0), 1.0, largest)


def length(x, keepdims=False):
    """L2 norm over the last axis; where it is 0 its gradient is 0, not infinite."""
    square = ops.sum(ops.square(x), axis=-1, keepdims=keepdims)
    is_zero = ops.equal(square, 0.0)
    return ops.where(is_zero, 0.0, ops.sqrt(ops.where(is_zero, 1.0, square)))


def unit(x):
    """x divided by its L2 norm over the last axis; 0 with gradient 0 where it is all 0."""
    x = rescaled(x, axis=-1)
    norm = length(x, keepdims=True)
    is_zero = ops.equal(norm, 0.0)
    return ops.where(is_zero, 0.0, x / ops.where(is_zero, 1.0, norm))


class ForEachPair(keras.Layer):
    """Layers, in float32, that take the student's features: one for each pair of layers.

    Args:
      layers: `keras.Layer`s, built.
    """

    def __init__(self, layers):
        super().__init__(dtype="float32")
        self.layers = list(layers)
        self.built = True

    def call(self, student_features):
        """A list of what each layer makes of its features."""
        return [layer(maps) for layer, maps in zip(self.layers, student_features, strict=True)]


def over_channels(shape, channels):
    """A built layer that maps the channels at each position: a 1x1 convolution, or `Dense` without maps.

    Args:
      shape: of what it takes, batch included.
      channels: of what it returns.
    """
    if len(shape) == DEPTH:
        layer = keras.layers.Conv2D(channels, 1, data_format="channels_last", dtype="float32")
    else:
        layer = keras.layers.Dense(channels, dtype="float32")
    layer.build(tuple(shape))
    return layer
