"""Shortcuts that fade away while a network trains, and the plain network that is left.

faded = with_fading_shortcuts(plain, [(0, 600)] * blocks)  # train it for 600 steps
plain = remove_shortcuts(faded)
"""

import math

import keras
from keras import layers, ops

from keras_kd.models import blocks, rebuilding

CURVES = ("cosine", "linear")


@keras.saving.register_keras_serializable(package="keras_kd")
class FadingShortcut(layers.Layer):
    """Adds a shortcut to a branch through a gate: `gate * skip + branch`.

    The gate is 1 until the layer was trained for `first` steps, falls, and is 0 from step `last` on. The
    layer counts the steps itself, in a weight: whatever saves the network saves where its gate is, and a step
    on any backend and any number of replicas moves it by one.

    Where the branch has another shape, the skip is subsampled and gets zero channels, as with
    `projection="pad"`: there are no weights to lose.

    Args:
      first, last: steps, whole numbers, `first <= last`. Where they are equal the gate is a step.
      curve: "cosine" or "linear".
    """

    def __init__(self, first, last, curve="cosine", **kwargs):
        super().__init__(**kwargs)
        self.first, self.last, self.curve = int(first), int(last), curve
        if self.curve not in CURVES:
            raise ValueError(f"curve must be one of {CURVES}. Received: curve={curve!r}")
        if not 0 <= self.first <= self.last:
            raise ValueError(f"a gate must open before it closes. Received: first={first}, last={last}")

    def build(self, input_shape):
        self.step = self.add_weight(
            name="step",
            shape=(),
            dtype="int32",
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
        self.built = True

    def gate(self):
        """float32 scalar in [0, 1]: what the shortcut is multiplied by in the next step."""
        done = ops.cast(self.step - self.first, "float32") / max(self.last - self.first, 1)
        done = ops.clip(done, 0.0, 1.0)
        gate = 1 - done if self.curve == "linear" else (1 + ops.cos(math.pi * done)) / 2
        return ops.where(self.step < self.last, gate, 0.0)

    def call(self, inputs, training=False):
        """`[skip, branch]`, each `[batch, height, width, channels]`, to a tensor of the branch's shape."""
        skip, branch = inputs
        gate = ops.cast(self.gate(), branch.dtype)
        if training:
            self.step.assign_add(1)
        return gate * _in_shape_of(branch, skip) + branch

    def compute_output_shape(self, input_shape):
        return input_shape[1]

    def get_config(self):
        return {**super().get_config(), "first": self.first, "last": self.last, "curve": self.curve}


def _in_shape_of(branch, skip):
    strides = tuple(-(-size // other) for size, other in zip(skip.shape[1:3], branch.shape[1:3], strict=True))
    if max(strides) > 1:  # pooling over one pixel: the gradient of a slice takes TensorFlow ten times as long
        skip = ops.average_pool(skip, 1, strides, data_format="channels_last")
    missing = branch.shape[-1] - skip.shape[-1]
    return ops.pad(skip, [[0, 0], [0, 0], [0, 0], [0, missing]]) if missing else skip


def with_fading_shortcuts(model, spans, curve="cosine"):
    """A network with a `FadingShortcut` around each block that has no shortcut.

    Args:
      model: a network of `keras_kd.models` without shortcuts; blocks that have one keep it.
      spans: `(first, last)` steps for each block without, in order.
      curve: as for `FadingShortcut`.

    Returns:
      A new `keras.Model` with copies of the weights. With gates of 1 it computes what the residual network of
      these weights does (`projection="pad"`), with gates of 0 what `model` does.

    Raises:
      ValueError: for a model without such blocks.
    """
    plain = plain_blocks(model)
    firsts = {block.first: block.name for block in plain}
    shortcuts = {
        block.name: FadingShortcut(first, last, curve, name=f"{block.name}_fade")
        for block, (first, last) in zip(plain, spans, strict=True)
    }
    ends = {block.last: block for block in plain}
    entered = {}

    def call(layer, *args, **kwargs):
        if layer.name in firsts:
            entered[firsts[layer.name]] = args[0]
        block = ends.get(layer.name)
        if block is None:
            return layer(*args, **kwargs)
        shortcut, skip = shortcuts[block.name], entered[block.name]
        if block.activated:  # the sum comes before the last ReLU
            return layer(shortcut([skip, args[0]]), **kwargs)
        return shortcut([skip, layer(*args, **kwargs)])

    return rebuilding.rebuild(model, call)


def plain_blocks(model):
    """The `blocks.BlockLayers` of a model's blocks without shortcut.

    Raises:
      ValueError: if there are none.
    """
    found = [block for block in blocks.blocks_of(model) if block.add is None]
    if not found:
        raise ValueError(
            f"there is no shortcut to lose: the model {model.name!r} has no blocks without shortcuts as "
            f"keras_kd.cifar_resnet(..., shortcuts=False) has"
        )
    return found


def fading_shortcuts(model):
    """The `FadingShortcut`s of a network, in order."""
    return [layer for layer in model.layers if isinstance(layer, FadingShortcut)]


def mean_gate(model):
    """The mean of a network's gates, in [0, 1]; 0 without any."""
    gates = [float(ops.convert_to_numpy(each.gate())) for each in fading_shortcuts(model)]
    return sum(gates) / len(gates) if gates else 0.0


def remove_shortcuts(model, name=None):
    """The plain twin of a network: the same weights by name, without shortcuts and without what is on them.

    Args:
      model: a network of `keras_kd.models`, residual or with fading shortcuts.
      name: of the result; None: that of `model`.

    Returns:
      A new `keras.Model` without a sum. Where all gates of `model` are 0 it computes the same to float32
      rounding, which is checked; else it is another function of the same weights.

    Raises:
      ValueError: for a model without blocks, or with other sums, as branches end in.
    """
    found = blocks.blocks_of(model)
    if not found:
        raise ValueError(f"model {model.name!r} has no blocks of keras_kd.models: there is nothing to remove")
    sums = {block.add for block in found if block.add} | {each.name for each in fading_shortcuts(model)}
    others = [each.name for each in model.layers if isinstance(each, layers.Add) and each.name not in sums]
    if others:
        raise ValueError(
            f"model {model.name!r} has sums that are no shortcuts, such as {others[0]!r}: "
            f"keras_kd.models.branches.merge_branches folds branches into the plain network"
        )

    def call(layer, *args, **kwargs):
        return args[0][1] if layer.name in sums else layer(*args, **kwargs)

    plain = rebuilding.rebuild(model, call, name)
    if not mean_gate(model) and not any(block.add for block in found):
        rebuilding.check_equal(plain, model)
    return plain
