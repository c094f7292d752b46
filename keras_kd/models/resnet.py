"""Residual networks whose shortcuts can be switched off, block by block.

`block_plan` tells the structure; the builders follow it. Read downwards: plan, unit (the
residual branch of one block), block, network. All networks take channels-last images and
return float32 logits, under mixed precision as well.

Layers are named `stage{i}_block{j}_{part}`, counted from 1, where part is `conv1`, `bn1`,
`relu1`, ..., `add` (the shortcut's sum), `out` (what the block hands on). A network with and
one without shortcuts share these names, so weights, taps and lesions go by name.
"""

import keras
from keras import layers, ops

from keras_kd.models import graph, initializers
from keras_kd.models.block_specs import cifar_plan, imagenet_plan, wide_plan
from keras_kd.utils import limits

BATCH_NORM_MOMENTUM = 0.9

BATCH_NORM_EPSILON = 1e-5

SMALLEST_IMAGE = 8


def convolution(x, channels, size, stride, name, initializer="he"):
    """A convolution without bias, padded, called on a tensor.

    Args:
      x: symbolic `[batch, height, width, any]`.
      channels: of the output.
      size: of the square kernel, pixels.
      stride: pixels.
      name: of the layer.
      initializer: a name of `initializers.INITIALIZERS`.

    Returns:
      `[batch, height / stride, width / stride, channels]`, sizes rounded up.

    Raises:
      ValueError: for an unknown initializer.
    """
    return layers.Conv2D(
        channels,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=initializers.make(initializer),
        data_format="channels_last",
        name=name,
    )(x)


def batch_norm(x, name):
    """A BatchNorm over the last axis of a symbolic tensor, called on it: of the same shape."""
    return layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        axis=-1,
        name=name,
    )(x)


def _relu(x, name):
    return layers.ReLU(name=name)(x)


def _dropout(x, rate, name):
    return layers.Dropout(rate, name=name)(x) if rate else x


def _basic_unit(x, block, dropout, initializer):
    """conv3-BN-ReLU-conv3-BN. He et al. 2016, figure 5 (left)."""
    x = convolution(x, block.channels, 3, block.stride, f"{block.name}_conv1", initializer)
    x = _relu(batch_norm(x, f"{block.name}_bn1"), f"{block.name}_relu1")
    x = _dropout(x, dropout, f"{block.name}_dropout")
    x = convolution(x, block.out_channels, 3, 1, f"{block.name}_conv2", initializer)
    return batch_norm(x, f"{block.name}_bn2")


def _bottleneck_unit(x, block, dropout, initializer):
    """conv1-conv3-conv1, each with BN. He et al. 2016, figure 5 (right).

    The stride sits on the 3x3 convolution, as in all current implementations ("v1.5"); the
    paper has it on the first 1x1. Parameters and shapes are the same.
    """
    x = convolution(x, block.channels, 1, 1, f"{block.name}_conv1", initializer)
    x = _relu(batch_norm(x, f"{block.name}_bn1"), f"{block.name}_relu1")
    x = convolution(x, block.channels, 3, block.stride, f"{block.name}_conv2", initializer)
    x = _relu(batch_norm(x, f"{block.name}_bn2"), f"{block.name}_relu2")
    x = _dropout(x, dropout, f"{block.name}_dropout")
    x = convolution(x, block.out_channels, 1, 1, f"{block.name}_conv3", initializer)
    return batch_norm(x, f"{block.name}_bn3")


def _preactivation_unit(x, block, dropout, initializer):
    """conv3-BN-ReLU-(dropout)-conv3 on an activated input. Zagoruyko & Komodakis 2016, figure 1."""
    x = convolution(x, block.channels, 3, block.stride, f"{block.name}_conv1", initializer)
    x = _relu(batch_norm(x, f"{block.name}_bn2"), f"{block.name}_relu2")
    x = _dropout(x, dropout, f"{block.name}_dropout")
    return convolution(x, block.out_channels, 3, 1, f"{block.name}_conv2", initializer)


def _pad_shortcut(x, block):
    """Option A: subsample and append zero channels; no parameters."""
    if block.stride > 1:
        x = layers.AveragePooling2D(
            1, block.stride, data_format="channels_last", name=f"{block.name}_shortcut_subsample"
        )(x)
    missing = block.out_channels - block.in_channels
    return ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, missing]]) if missing else x


def _conv_shortcut(x, block):
    """Option B: 1x1 convolution and BN."""
    x = convolution(x, block.out_channels, 1, block.stride, f"{block.name}_shortcut_conv")
    return batch_norm(x, f"{block.name}_shortcut_bn")


PROJECTIONS = {"pad": _pad_shortcut, "conv": _conv_shortcut}

UNITS = {"basic": _basic_unit, "bottleneck": _bottleneck_unit}


def _postactivation_block(x, block, shortcut, projection, dropout, initializer):
    branch = UNITS[block.unit](x, block, dropout, initializer)
    if shortcut:
        skip = x if block.keeps_shape else PROJECTIONS[projection](x, block)
        branch = layers.Add(name=f"{block.name}_add")([skip, branch])
    return _relu(branch, f"{block.name}_out")


def _preactivation_block(x, block, shortcut, dropout, initializer):
    activated = _relu(batch_norm(x, f"{block.name}_bn1"), f"{block.name}_relu1")
    branch = _preactivation_unit(activated, block, dropout, initializer)
    if not shortcut:
        return branch
    skip = x
    if not block.keeps_shape:
        name = f"{block.name}_shortcut_conv"
        skip = convolution(activated, block.out_channels, 1, block.stride, name)
    return layers.Add(name=f"{block.name}_add")([skip, branch])


def cifar_resnet(
    depth,
    input_shape=(32, 32, 3),
    num_classes=10,
    *,
    width=16,
    shortcuts=True,
    projection="pad",
    dropout=0.0,
    initializer="he",
    name=None,
):
    """The ResNet for small images.

    Args:
      depth: 6n+2: 8, 14, 20, 32, 44, 56, 110, 1202 ...
      input_shape: `(height, width, channels)`, height and width at least 8 (or None).
      num_classes: number of logits.
      width: channels of the first stage; they double twice.
      shortcuts: True, False, or one bool per block (see `block_plan("cifar", depth)`).
      projection: where a block changes the shape, "pad" subsamples and appends zero channels
        (option A, no parameters: the networks with and without shortcuts then have the same
        weights, name for name) and "conv" is a 1x1 convolution with BN (option B).
      dropout: rate between the convolutions of a block.
      initializer: of the convolutions of blocks: "he", or for networks without shortcuts
        "delta_orthogonal" or "dirac" (see `initializers`).
      name: of the model.

    Returns:
      A functional `keras.Model` from float images `[batch, height, width, channels]` to float32
      logits `[batch, num_classes]`.

    Raises:
      ValueError: for an argument out of range; the message says which and what is allowed.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2.
    """
    plan = cifar_plan(depth, width)
    image = _image_input(input_shape)
    x = _stem_conv(image, int(width), 3, 1)
    x = _postactivation_body(x, plan, shortcuts, projection, dropout, initializer)
    return _classifier(image, x, num_classes, name or _default_name("resnet", depth, shortcuts))


def imagenet_resnet(
    depth,
    input_shape=(224, 224, 3),
    num_classes=1000,
    *,
    width=64,
    shortcuts=True,
    projection="conv",
    stem="imagenet",
    initializer="he",
    name=None,
):
    """The ResNet for large images.

    Args:
      depth: 18 or 34 (basic blocks), 50, 101 or 152 (bottlenecks).
      input_shape: `(height, width, channels)`, height and width at least 8 (or None).
      num_classes: number of logits.
      width: channels of the first stage; they double three times.
      shortcuts: True, False, or one bool per block (see `block_plan("imagenet", depth)`).
      projection: "conv" (option B) or "pad" (option A, no parameters), as in `cifar_resnet`.
      stem: "imagenet" (7x7 convolution of stride 2, then 3x3 max pooling of stride 2) or
        "cifar" (3x3 convolution of stride 1).
      initializer: as in `cifar_resnet`.
      name: of the model.

    Returns:
      A functional `keras.Model` from float images `[batch, height, width, channels]` to float32
      logits `[batch, num_classes]`.

    Raises:
      ValueError: for an argument out of range; the message says which and what is allowed.

    Source: He et al. 2016, arXiv:1512.03385, table 1.
    """
    plan = imagenet_plan(depth, width)
    limits.check_choice("stem", stem, STEMS)
    image = _image_input(input_shape)
    x = STEMS[stem](image, int(width))
    x = _postactivation_body(x, plan, shortcuts, projection, 0.0, initializer)
    return _classifier(image, x, num_classes, name or _default_name("resnet", depth, shortcuts))


def wide_resnet(
    depth,
    widen,
    input_shape=(32, 32, 3),
    num_classes=10,
    *,
    shortcuts=True,
    dropout=0.0,
    initializer="he",
    name=None,
):
    """The wide ResNet with pre-activation blocks.

    Where a block changes the shape its shortcut is a 1x1 convolution, as in the paper, so the
    network without shortcuts has fewer parameters than its twin.

    Args:
      depth: 6n+4: 10, 16, 22, 28, 40 ...
      widen: factor k on the channels 16, 32, 64 of the three stages.
      input_shape: `(height, width, channels)`, height and width at least 8 (or None).
      num_classes: number of logits.
      shortcuts: True, False, or one bool per block (see `block_plan("wide", depth, widen=k)`).
      dropout: rate between the convolutions of a block.
      initializer: of the convolutions of blocks: "he", or for networks without shortcuts
        "delta_orthogonal" or "dirac" (see `initializers`).
      name: of the model.

    Returns:
      A functional `keras.Model` from float images `[batch, height, width, channels]` to float32
      logits `[batch, num_classes]`.

    Raises:
      ValueError: for an argument out of range; the message says which and what is allowed.

    Source: Zagoruyko & Komodakis 2016, arXiv:1605.07146.
    """
    plan = wide_plan(depth, widen)
    dropout = limits.DROPOUT.check("dropout", dropout)
    image = _image_input(input_shape)
    x = convolution(image, 16, 3, 1, "stem_conv")
    for block, shortcut in zip(plan, per_block(shortcuts, len(plan)), strict=True):
        x = _preactivation_block(x, block, shortcut, dropout, initializer)
    x = _relu(batch_norm(x, "head_bn"), "head_relu")
    default_name = _default_name("wide_resnet", f"{depth}_{widen}", shortcuts)
    return _classifier(image, x, num_classes, name or default_name)


def per_block(shortcuts, count):
    """Spells out `shortcuts` as one bool per block.

    Args:
      shortcuts: True, False, or a sequence of `count` bools.
      count: number of blocks.

    Returns:
      A tuple of `count` bools.

    Raises:
      ValueError: for a sequence of another length; the message says the right one.
    """
    if isinstance(shortcuts, bool):
        return (shortcuts,) * count
    shortcuts = tuple(shortcuts)
    if len(shortcuts) != count or not all(isinstance(shortcut, bool) for shortcut in shortcuts):
        raise ValueError(
            f"shortcuts must be True, False or {count} bools, one per block. "
            f"Received: {len(shortcuts)} values, shortcuts={shortcuts}"
        )
    return shortcuts


def _default_name(family, depth, shortcuts):
    kind = {True: "", False: "_plain"}[shortcuts] if isinstance(shortcuts, bool) else "_partial"
    return f"{family}{depth}{kind}"


def _image_input(input_shape):
    shape = tuple(input_shape)
    if len(shape) != 3 or any(size is not None and size < SMALLEST_IMAGE for size in shape[:2]):
        raise ValueError(
            f"input_shape must be (height, width, channels) with images of at least "
            f"{SMALLEST_IMAGE}x{SMALLEST_IMAGE}. Received: input_shape={shape}"
        )
    return keras.Input(shape, name="image")


def _stem_conv(x, width, size, stride):
    return _relu(batch_norm(convolution(x, width, size, stride, "stem_conv"), "stem_bn"), "stem_relu")


def _imagenet_stem(x, width):
    x = _stem_conv(x, width, 7, 2)
    return layers.MaxPooling2D(3, 2, padding="same", data_format="channels_last", name="stem_pool")(x)


STEMS = {"cifar": lambda x, width: _stem_conv(x, width, 3, 1), "imagenet": _imagenet_stem}


def _postactivation_body(x, plan, shortcuts, projection, dropout, initializer):
    limits.check_choice("projection", projection, PROJECTIONS)
    dropout = limits.DROPOUT.check("dropout", dropout)
    for block, shortcut in zip(plan, per_block(shortcuts, len(plan)), strict=True):
        x = _postactivation_block(x, block, shortcut, projection, dropout, initializer)
    return x


def _classifier(image, x, num_classes, name):
    num_classes = limits.CLASSES.check("num_classes", num_classes)
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="head_pool")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    with graph.deep_graphs():
        return keras.Model(image, logits, name=name)
