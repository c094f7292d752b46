"""ReviewKD: the student's stages, fused from deep to shallow, are to be the teacher's at several scales."""

import itertools

import keras
import numpy as np
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.terms import FeatureTerm
from keras_kd.models import resnet
from keras_kd.models.stages import DEPTH
from keras_kd.utils import checks

_POOLED_SIZES = (4, 2, 1)

_WIDEST = 512  # channels of what is fused, at the most


def hierarchical_context(teacher_features, student_features):
    """Mean squared difference of feature maps, and of what they are averaged to at 4, 2 and 1 places a side.

    Args:
      teacher_features, student_features: float `[batch, height, width, channels]` with equal channels; maps
        of different sizes are averaged to the smaller one.

    Returns:
      float32 `[batch]`, in squared units of the features: the weighted mean over the sizes, whose weights are
      1 for the maps as they are and 1/2, 1/4, 1/8 for the smaller sizes; sizes that are not smaller than the
      maps are left out.

    Raises:
      ValueError: if the shapes differ in anything else, or are not those of maps.

    Source: Chen et al. 2021, arXiv:2104.09044, section 3.3.
    """
    teacher, student = features.in_one_size(teacher_features, student_features)
    features.check_equal_shapes(teacher, student)
    if len(student.shape) != DEPTH:
        raise ValueError(
            f"features [batch, height, width, channels] are needed. Received: shape {tuple(student.shape)}"
        )
    difference = student - teacher  # which is averaged as the two are
    height, width = difference.shape[1:3]
    values, total, weight = _mean_square(difference), 1.0, 1.0
    for size in _POOLED_SIZES:
        if size < max(height, width):
            weight /= 2
            total += weight
            averaged = averaged_to(difference, min(size, height), min(size, width))
            values += weight * _mean_square(averaged)
    return values / total


def _mean_square(maps):
    return ops.mean(ops.square(maps), axis=(1, 2, 3))


def averaged_to(maps, height, width):
    """Feature maps in another size: place i of n averages the old ones, floor(i h/n) to ceil((i + 1) h/n).

    Larger ones repeat what there is, where their size is a whole multiple.

    Args:
      maps: float `[batch, h, w, channels]`.
      height, width: of what is returned.
    """
    rows, columns = (_shares(old, new) for old, new in zip(maps.shape[1:3], (height, width), strict=True))
    return ops.einsum("bhwc,nh,mw->bnmc", maps, rows, columns)


def _shares(old, new):
    """float32 `[new, old]`, rows with sum 1: what each place takes of the old ones."""
    starts, ends = (
        np.floor(np.arange(new) * old / new),
        np.ceil(np.arange(1, new + 1) * old / new),
    )
    inside = (np.arange(old) >= starts[:, None]) & (np.arange(old) < ends[:, None])
    return (inside / inside.sum(axis=1, keepdims=True)).astype("float32")


@keras.saving.register_keras_serializable(package="keras_kd")
class KnowledgeReview(FeatureTerm):
    """`hierarchical_context` between the teacher's stages and the student's, fused, summed over the stages.

    The deepest stage is fused into the one before it and so on, by a `StageFusion` that is trained with the
    student; only the Distiller has its weights. The authors fuse the pooled features as well.

    Args:
      teacher_layers, student_layers: names of layers with feature maps, each once, from shallow to deep, so
        that height and width do not grow; None: the ends of the stages.

    Source: Chen et al. 2021 (ReviewKD), arXiv:2104.09044.
    """

    asks_training = True
    warmup = 1 / 12

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared: no maps of known sizes, or none with common windows."""
        for shape in (teacher_shape, student_shape):
            if not checks.is_shape(shape) or len(shape) != DEPTH or None in shape[1:]:
                return "take layers with feature maps of a known height, width and number of channels"
        return features.why_not_in_one_size(teacher_shape, student_shape)

    def begin(self, teacher, student):
        """Raises a ValueError for layers that are named twice, or whose maps grow from one to the next."""
        names = self.layers_of(teacher, student)
        _check_order(teacher, names[0], "teacher")
        _check_order(student, names[1], "student")

    def make_adaptor(self, teacher_shapes, student_shapes):
        """A `StageFusion`."""
        channels = [shape[-1] for shape in teacher_shapes]
        fusion = StageFusion(channels, min(_WIDEST, student_shapes[-1][-1]), name="stage_fusion")
        fusion.build(student_shapes)
        return fusion

    def call(self, teacher, student, adaptor, training=False):
        """float32 `[batch]`: the sum of `hierarchical_context` over the stages."""
        pairs = zip(teacher, adaptor(student, training=training), strict=True)
        return sum(hierarchical_context(*pair) for pair in pairs)


def _check_order(model, names, role):
    sizes = [tuple(model.get_layer(name).output.shape[1:3]) for name in names]
    grows = any(
        deeper > size for pair in itertools.pairwise(sizes) for size, deeper in zip(*pair, strict=True)
    )
    if grows or len(set(names)) < len(names):
        found = ", ".join(f"{name!r} {size}" for name, size in zip(names, sizes, strict=True))
        raise ValueError(
            f"KnowledgeReview fuses stages: name layers each once, from shallow to deep, so that height and "
            f"width do not grow. Received: {found} of {model.name!r} ({role})"
        )


@keras.saving.register_keras_serializable(package="keras_kd")
class StageFusion(keras.Layer):
    """Attention-based fusion of the stages of a network, from deep to shallow, in float32.

    Each stage is brought to `width` channels (1x1 convolution, BatchNorm). A weight for each place, the
    sigmoid of a 1x1 convolution, is given to it and to what came from the deeper one, enlarged to its size;
    their weighted sum goes on. What is returned has the teacher's channels (3x3 convolution, BatchNorm).

    Args:
      channels: of what is returned for each stage, from shallow to deep.
      width: channels of what is fused.
    """

    def __init__(self, channels, width, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.channels = list(channels)
        self.width = width
        self.reduce = [_conv_norm(width, 1) for _ in self.channels]
        self.attend = [_conv(2, 1, use_bias=True, activation="sigmoid") for _ in self.channels[:-1]]
        self.expand = [_conv_norm(count, 3) for count in self.channels]

    def build(self, input_shape):
        for place, shape in enumerate(input_shape):
            fused = (*shape[:-1], self.width)
            self.reduce[place].build(shape)
            self.expand[place].build(fused)
            if place < len(self.attend):
                self.attend[place].build((*shape[:-1], 2 * self.width))

    def call(self, stages, training=False):
        """A list of maps, as `stages` a list `[batch, height, width, channels]` from shallow to deep."""
        results, fused = [], None
        for place in reversed(range(len(self.channels))):
            maps = self.reduce[place](stages[place], training=training)
            if fused is not None:
                deeper = averaged_to(fused, *maps.shape[1:3])
                shares = self.attend[place](ops.concatenate([maps, deeper], axis=-1))
                maps = maps * shares[..., :1] + deeper * shares[..., 1:]
            fused = maps
            results.insert(0, self.expand[place](fused, training=training))
        return results

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "width": self.width}


def _conv(channels, size, use_bias=False, activation=None):
    return keras.layers.Conv2D(
        channels,
        size,
        padding="same",
        use_bias=use_bias,
        activation=activation,
        kernel_initializer="lecun_uniform",
        data_format="channels_last",
        dtype="float32",
    )


def _conv_norm(channels, size):
    norm = keras.layers.BatchNormalization(
        momentum=resnet.BATCH_NORM_MOMENTUM, epsilon=resnet.BATCH_NORM_EPSILON, dtype="float32"
    )
    return keras.Sequential([_conv(channels, size), norm])
