"""Shortcuts that fade away while a network trains, and the plain network that is left.

faded = with_fading_shortcuts(plain, [(0, 600)] * blocks)  # train it for 600 steps
plain = remove_shortcuts(faded)
"""

import math

import keras
from keras import layers, ops

from keras_kd.models import blocks, data_format, graph, rebuilding, sums
from keras_kd.utils import limits

CURVES = ("cosine", "linear")

_AXES = 4  # batch, height, width, channels


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

    Raises:
      ValueError: when built for anything but maps of height and width, or for a branch of fewer channels, or
        of a size that no stride makes of the skip's.
    """

    def __init__(self, first, last, curve="cosine", **kwargs):
        super().__init__(**kwargs)
        self.first, self.last, self.curve = int(first), int(last), curve
        limits.check_choice("curve", curve, CURVES)
        if not 0 <= self.first <= self.last:
            raise ValueError(f"a gate must open before it closes. Received: first={first}, last={last}")

    def build(self, input_shape):
        if any(len(shape) != _AXES for shape in input_shape):
            raise ValueError(
                f"a shortcut fades between maps [batch, height, width, channels]. "
                f"Received: shapes {' and '.join(map(str, input_shape))} at {self.name!r}"
            )
        if not _can_be_added(*input_shape):
            raise ValueError(
                f"{self.name!r} cannot add the skip to the branch, which may be smaller by a stride and have "
                f"more channels, nothing else. Received: shapes {' and '.join(map(str, input_shape))}"
            )
        self.step = self.add_weight(
            name="step",
            shape=(),
            dtype="int",  # TensorFlow keeps int32 on the CPU
            initializer="zeros",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
        self.built = True

    def gate(self, ago=0):
        """float32 scalar in [0, 1]: what the shortcut is multiplied by next, or was some steps ago."""
        step = self.step - ago
        done = ops.cast(step - self.first, "float32") / max(self.last - self.first, 1)
        done = ops.clip(done, 0.0, 1.0)
        gate = 1 - done if self.curve == "linear" else (1 + ops.cos(math.pi * done)) / 2
        return ops.where(step < self.last, gate, 0.0)

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


def _can_be_added(skip, branch):
    """Whether `_in_shape_of` brings a skip of one shape into another one; open sizes may fit."""
    sizes = [pair for pair in zip(skip[1:3], branch[1:3], strict=True) if None not in pair]
    return skip[-1] <= branch[-1] and all(
        -(-size // stride) == other for (size, other), stride in zip(sizes, _strides(sizes), strict=True)
    )


def _strides(sizes):
    return tuple(-(-size // other) for size, other in sizes)


def _in_shape_of(branch, skip):
    sizes = list(zip(skip.shape[1:3], branch.shape[1:3], strict=True))
    if any(None in pair for pair in sizes):
        raise ValueError(
            f"a fading shortcut goes by the height and width of its maps: give batches of one size, or the "
            f"keras.Input both. Received: shapes {tuple(skip.shape)} and {tuple(branch.shape)}"
        )
    strides = _strides(sizes)
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
      ValueError: for a model without such blocks, or whose shortcuts fade already; another number of spans,
        channels that come first, and for a block that is called several times, has fewer channels than what
        it is given, or a size that no stride makes of it.
    """
    if fading_shortcuts(model):
        raise ValueError(f"the shortcuts of {model.name!r} fade already: take remove_shortcuts of it first")
    plain = plain_blocks(model)
    if len(spans) != len(plain):
        raise ValueError(
            f"spans must be one pair of steps for each block without a shortcut, {len(plain)} of "
            f"{model.name!r}. Received: {len(spans)} spans"
        )
    _check_called_once(model, plain)
    data_format.check_channels_last(model, [block.last for block in plain])
    firsts = {block.first: block.name for block in plain}
    shortcuts = {
        block.name: FadingShortcut(
            first,
            last,
            curve,
            name=f"{block.name}_fade",
            dtype=model.get_layer(block.last).dtype_policy,
        )
        for block, (first, last) in zip(plain, spans, strict=True)
    }
    ends = {block.last: block for block in plain}
    entered = {}

    def call(layer, *args, **kwargs):
        given = blocks.tensors_in(args, kwargs)
        if layer.name in firsts:
            entered[firsts[layer.name]] = given[0]
        block = ends.get(layer.name)
        if block is None:
            return layer(*args, **kwargs)
        shortcut, skip = shortcuts[block.name], entered[block.name]
        if block.activated:  # the sum comes before the last ReLU
            args, kwargs = graph.replaced(given[0], shortcut([skip, given[0]]), (args, kwargs))
            return layer(*args, **kwargs)
        return shortcut([skip, layer(*args, **kwargs)])

    return rebuilding.rebuild(model, call)


def _check_called_once(model, plain):
    """Raises a ValueError for shared blocks: their gate would count several steps in one."""
    calls = graph.sources_of(model)
    shared = [name for block in plain for name in (block.first, block.last) if len(calls[name]) > 1]
    if shared:
        raise ValueError(
            f"a shortcut fades around a block that is called once: give each block layers of its own. "
            f"Received: {model.name!r}, which calls {shared[0]!r} {len(calls[shared[0]])} times"
        )


def plain_blocks(model):
    """The `blocks.BlockLayers` of a model's blocks without shortcut.

    Raises:
      ValueError: if there are none, or sums besides those of other blocks: they may be shortcuts, and stay.
    """
    every = blocks.blocks_of(model)
    found = [block for block in every if block.add is None]
    if not found:
        raise ValueError(
            f"there is no shortcut to lose: the model {model.name!r} has no blocks without shortcuts as "
            f"keras_kd.cifar_resnet(..., shortcuts=False) has"
        )
    others = _sums_besides(model, {block.add for block in every})
    if others:
        raise ValueError(
            f"the model {model.name!r} has sums, such as {others[0]!r} ({len(others)} in all), which may be "
            f"shortcuts and would stay: leave them out, or name the sum of a block as stage1_block1_add; "
            f"keras_kd.models.branches.merge_branches folds branches"
        )
    return found


def _sums_besides(model, names):
    """Names of the sums of a network and of models inside it, but for its own layers of these names."""
    known = [layer for layer in model.layers if layer.name in names]
    return [each.name for each in sums.sums_of(model) if not any(each is layer for layer in known)]


def fading_shortcuts(model):
    """The `FadingShortcut`s of a network and of models inside it, in order."""
    return [layer for layer in graph.all_parts(model) if isinstance(layer, FadingShortcut)]


def mean_gate(model, ago=0):
    """The mean of a network's gates in its next step, or some steps ago, in [0, 1]; 0 without any."""
    gates = [float(ops.convert_to_numpy(each.gate(ago))) for each in fading_shortcuts(model)]
    return sum(gates) / len(gates) if gates else 0.0


def remove_shortcuts(model, name=None):
    """The plain twin of a network: the same weights by name, without shortcuts and without what is on them.

    Args:
      model: a network of `keras_kd.models`, residual or with fading shortcuts.
      name: of the result; None: that of `model`.

    Returns:
      A new `keras.Model` without a sum, of the same outputs. Where all gates of `model` are 0 it computes the
      same to float32 rounding, which is checked; else it is another function of the same weights.

    Raises:
      ValueError: for a model without blocks, with other sums, as branches end in, or with a block whose sum
        does not tell skip and branch apart.
    """
    found = blocks.blocks_of(model)
    if not found:
        raise ValueError(f"model {model.name!r} has no blocks of keras_kd.models: there is nothing to remove")
    branches = blocks.branch_places(model) | {each.name: 1 for each in fading_shortcuts(model)}
    others = _sums_besides(model, branches)
    if others:
        raise ValueError(
            f"model {model.name!r} has sums that are no shortcuts of blocks, such as {others[0]!r}: name "
            f"that of a block as stage1_block1_add; keras_kd.models.branches.merge_branches folds branches"
        )

    def call(layer, *args, **kwargs):
        if layer.name not in branches:
            return layer(*args, **kwargs)
        return blocks.tensors_in(args, kwargs)[branches[layer.name]]

    plain = rebuilding.rebuild(model, call, name)
    if not mean_gate(model) and not any(block.add for block in found):
        rebuilding.check_equal(plain, model)
    return plain
