"""Branches beside each 3x3 convolution that train with it and fold into it: RepVGG's way without shortcuts.

branched = with_branches(plain)  # train it
merge_branches(branched, plain)  # plain computes the same, in its own layers
"""

import keras
import numpy as np
from keras import layers

from keras_kd.models import blocks, fading, folding, graph, initializers, rebuilding, weights

# What a BatchNorm must be to hold what its convolution's branches add.
_NORMS = tuple({"scale": True, "center": True, "axis": axis} for axis in (-1, 3))


@keras.saving.register_keras_serializable("keras_kd")
class MovingStatistics(layers.BatchNormalization):
    """Returns its input as it is, whose moving mean and variance it keeps as BatchNorm does.

    The variance of a sum of branches does not follow from theirs, which are correlated. The BatchNorm that is
    left after merging holds it, so that the plain network can be trained on.
    """

    def __init__(self, **options):
        super().__init__(**{**options, "scale": False, "center": False})

    def call(self, inputs, training=None, mask=None):
        super().call(inputs, training=training, mask=mask)
        return inputs


def with_branches(model, pointwise=False):
    """A network with an identity and BatchNorm beside each 3x3 `Conv2D` that keeps the shape.

    They are added behind the convolution's own BatchNorm, before the ReLU.

    Args:
      model: a network of `keras_kd.models` without shortcuts.
      pointwise: whether each 3x3 convolution also gets a 1x1 convolution with BatchNorm beside it.

    Returns:
      A new `keras.Model` with copies of the weights.

    Raises:
      ValueError: for a network without such blocks, or whose convolutions have no BatchNorm behind them, into
        whose bias a branch could fold, or do more than a convolution; with `pointwise` for one of open sizes.

    Source: Ding et al. 2021, arXiv:2101.03697, section 3.2.
    """
    norms = {norm: conv for conv, norm in branched_pairs(model).items()}
    if not pointwise and not any(_keeps_shape(model.get_layer(conv)) for conv in norms.values()):
        raise ValueError(
            f"all convolutions of {model.name!r} change the shape, so that no identity stands beside one: "
            f"take 1x1 convolutions. Received: pointwise=False for {list(norms.values())}"
        )
    inputs = {}

    def call(layer, *args, **kwargs):
        if layer.name in norms.values():
            (inputs[layer.name],) = blocks.tensors_in(args, kwargs)
        found = layer(*args, **kwargs)
        if layer.name not in norms:
            return found
        conv = norms[layer.name]
        beside = _branches(inputs[conv], model.get_layer(conv), layer, pointwise)
        if not beside:
            return found
        total = layers.Add(name=f"{conv}_sum", dtype=layer.dtype_policy)([found, *beside])
        return _norm_like(layer, _statistics(conv), MovingStatistics)(total)

    return rebuilding.rebuild(model, call)


def _branches(x, conv, norm, pointwise):
    found = []
    if _keeps_shape(conv):
        found.append(_norm_like(norm, f"{conv.name}_identity_bn")(x))
    if pointwise:
        _tap(conv)  # says what is wrong before anything is trained
        beside = layers.Conv2D(
            conv.filters,
            1,
            strides=conv.strides,
            padding="same",
            use_bias=False,
            kernel_initializer=initializers.make("he"),
            data_format="channels_last",
            dtype=conv.dtype_policy,
            name=f"{conv.name}_pointwise",
        )
        found.append(_norm_like(norm, f"{conv.name}_pointwise_bn")(beside(x)))
    return found


def _keeps_shape(conv):
    return conv.strides == (1, 1) and conv.kernel.shape[-2] == conv.filters


def _statistics(conv):
    """The name of the layer that keeps those of the sum."""
    return f"{conv}_sum_statistics"


def _norm_like(norm, name, kind=layers.BatchNormalization):
    return kind(
        momentum=norm.momentum, epsilon=norm.epsilon, axis=norm.axis, dtype=norm.dtype_policy, name=name
    )


def branched_pairs(model):
    """`{3x3 convolution: the BatchNorm behind it}`, names of the layers that get branches.

    Raises:
      ValueError: as `with_branches`, for what could not be merged.
    """
    plain = fading.plain_blocks(model)
    known = {layer.name: layer for layer in model.layers}
    numbered = [f"{block.name}_conv{number}" for block in plain for number in (1, 2, 3)]
    convs = [name for name in numbered if _is_3x3(known.get(name))]
    if not convs:
        raise ValueError(
            f"{model.name!r} has no 3x3 convolution that a branch could stand beside. Received: blocks "
            f"{[block.name for block in plain]}, with no Conv2D of that size named as stage1_block1_conv1"
        )
    sources = graph.sources_of(model)
    for conv in convs:
        _check_convolution(known[conv])
    return {conv: _norm_behind(conv, known, sources) for conv in convs}


def _is_3x3(layer):
    return type(layer) is layers.Conv2D and layer.kernel_size == (3, 3)


def _check_convolution(conv):
    wanted = {"padding": "same", "groups": 1, "data_format": "channels_last"}
    received = {option: getattr(conv, option) for option in wanted}
    if received != wanted or conv.activation is not keras.activations.linear:
        activation = keras.activations.serialize(conv.activation)
        raise ValueError(
            f"a branch beside {conv.name!r} cannot be merged into it: it must have the options {wanted} and "
            f"no activation. Received: {received} and activation={activation!r}"
        )


def _norm_behind(conv, known, sources):
    """The name of the BatchNorm that alone reads what a convolution computes, or a ValueError."""
    readers = {reader: calls for reader, calls in sources.items() if any(conv in call for call in calls)}
    is_one = list(readers.values()) == [[[conv]]]
    wanted = f"a branch beside {conv!r} needs a BatchNormalization behind it"
    if not (is_one and all(type(known[name]) is layers.BatchNormalization for name in readers)):
        told = ", ".join(f"{type(known[name]).__name__} {name!r}" for name in readers) or "none"
        raise ValueError(
            f"{wanted}, which alone reads it, once: no shortcut, kept or fading, may stand between, as in "
            f"pre-activation blocks. Received: it is read by {told}"
        )
    (name,) = readers
    received = {option: getattr(known[name], option) for option in ("scale", "center", "axis")}
    if received not in _NORMS:
        raise ValueError(
            f"{wanted}, with scale and center, of the last axis. Received: {name!r} of {received}"
        )
    return name


def merge_branches(branched, plain):
    """Folds the branches of a network into the convolutions and BatchNorms of its plain twin.

    The kernel becomes the sum of all that the branches do, BatchNorm's scales included; its BatchNorm then
    only adds the bias in inference. Its statistics are those of what it reads, so that training can go on.

    Args:
      branched: of `with_branches(plain)`, trained.
      plain: gets the weights.

    Source: Ding et al. 2021, arXiv:2101.03697, section 3.3.
    """
    weights.copy_by_layer(branched, plain)
    names = {layer.name for layer in branched.layers}
    for conv, norm in branched_pairs(plain).items():
        beside = [name for name in (f"{conv}_identity_bn", f"{conv}_pointwise_bn") if name in names]
        if beside:
            kernel, bias = _merged(branched, conv, norm, beside)
            _only_multiply(plain.get_layer(conv), kernel)
            _only_add(plain.get_layer(norm), bias, branched.get_layer(_statistics(conv)))


def _merged(network, conv, norm, beside):
    """Kernel and bias of all branches together, float64."""
    layer = network.get_layer(conv)
    kernel = folding.in_float64(layer.kernel)
    scale, bias = folding.scale_and_shift(network.get_layer(norm))
    merged = kernel * scale
    if layer.use_bias:
        bias = bias + folding.in_float64(layer.bias) * scale
    for name in beside:
        factor, shift = folding.scale_and_shift(network.get_layer(name))
        if name.endswith("_identity_bn"):
            merged[1, 1] += np.diag(factor)
        else:
            pointwise = folding.in_float64(network.get_layer(f"{conv}_pointwise").kernel)
            merged[_tap(layer)] += pointwise[0, 0] * factor
        bias = bias + shift
    return merged, bias


def _tap(layer):
    """Which tap of a 3x3 kernel a 1x1 convolution of the same stride reads: as many as "same" pads before."""
    sizes = layer.input.shape[1:3]
    if max(layer.strides) > 1 and None in sizes:
        raise ValueError(
            f"a 1x1 convolution beside {layer.name!r}, which makes images smaller, is merged by their size: "
            f"build the network for one, or leave merge_pointwise off. Received: shape {layer.input.shape}"
        )
    return tuple(map(_padding_before, layer.strides, sizes))


def _padding_before(stride, size):
    """How many places "same" puts before an axis for a window of 3: half of what is missing, rounded down."""
    if stride == 1:
        return 1
    places = -(-size // stride)
    return max((places - 1) * stride + 3 - size, 0) // 2


def _only_multiply(conv, kernel):
    conv.kernel.assign(kernel)
    if conv.use_bias:
        conv.bias.assign(np.zeros(conv.filters))


def _only_add(norm, bias, of_sum):
    """Lets BatchNorm add a bias in inference, by the statistics that what it reads has without the bias."""
    mean, variance = folding.in_float64(of_sum.moving_mean), folding.in_float64(of_sum.moving_variance)
    norm.moving_mean.assign(mean - bias)
    norm.moving_variance.assign(variance)
    norm.gamma.assign(np.sqrt(variance + norm.epsilon))
    norm.beta.assign(mean)
