"""The residual blocks of a network, found by the names of its layers."""

import dataclasses
import re

import keras

from keras_kd.models import graph

_FIRST_CONV = re.compile(r"stage(\d+)_block(\d+)_conv1")

_ACTIVATIONS = tuple(
    getattr(keras.layers, name) for name in ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU")
)


@dataclasses.dataclass(frozen=True)
class BlockLayers:
    """Where one block begins and ends, as the names of a network's layers tell it.

    Attributes:
      name: `stage{i}_block{j}`.
      first: the layer whose input is the block's input.
      last: the layer whose output the block hands on.
      add: the layer that adds skip and branch, see `branch_places`; None without shortcut.
      activated: whether the block ends in a ReLU, so that what it computes is the input of `last`.
    """

    name: str
    first: str
    last: str
    add: str | None
    activated: bool

    @property
    def stage(self):
        """`stage{i}`."""
        return self.name.partition("_")[0]


def blocks_of(model):
    """The blocks of a network, in order, found from the names and the order of its layers.

    A block ends in its layer `..._out`, else in its last activation or sum; one of pre-activation, whose
    `..._bn1` comes before its `..._conv1`, in its sum or `..._conv2`.

    Args:
      model: a `keras.Model`, of `resnet` or with layers named like there.

    Returns:
      A tuple of `BlockLayers`; empty if the model has no such layers or no graph.

    Raises:
      ValueError: for a block of which that does not say where it ends.
    """
    if not getattr(model, "inputs", None):
        return ()
    names = [layer.name for layer in model.layers]
    found = sorted(
        (int(match[1]), int(match[2])) for match in map(_FIRST_CONV.fullmatch, names) if match is not None
    )
    return tuple(_block(model, f"stage{stage}_block{index}") for stage, index in found)


def _block(model, name):
    within = {each.name: each for each in model.layers if each.name.startswith(f"{name}_")}
    names = list(within)  # what a layer reads comes before it
    conv, norm, add = f"{name}_conv1", f"{name}_bn1", f"{name}_add"
    add = add if add in within else None
    if f"{name}_out" in within:
        return BlockLayers(name, conv, f"{name}_out", add, activated=True)
    ends = [each for each in (add, f"{name}_fade", f"{name}_conv2") if each in within]
    if norm in within and names.index(norm) < names.index(conv) and ends:
        return BlockLayers(name, norm, ends[0], add, activated=False)
    if isinstance(within[names[-1]], _ACTIVATIONS) or names[-1] == add:
        return BlockLayers(name, conv, names[-1], add, activated=names[-1] != add)
    raise ValueError(
        f"where block {name!r} of {model.name!r} ends is not clear: give its last activation the name "
        f"{name + '_out'!r}. Received: layers {names}"
    )


def branch_places(model):
    """Which of the two tensors that a block adds comes from its convolutions; the other one is the skip.

    Args:
      model: a functional `keras.Model`.

    Returns:
      `{name of the sum: 0 or 1}`, for each block with a shortcut.

    Raises:
      ValueError: for a sum of more or fewer than two, or one of which not exactly one comes from there.
    """
    with_shortcut = [block for block in blocks_of(model) if block.add]
    sources = graph.sources_of(model) if with_shortcut else {}
    return {block.add: _branch_place(model, block, sources) for block in with_shortcut}


def _branch_place(model, block, sources):
    conv, calls = f"{block.name}_conv1", sources[block.add]
    comes_from_it = [conv in _before(name, sources) for name in calls[0]]
    if len(calls) > 1 or sorted(comes_from_it) != [False, True]:
        raise ValueError(
            f"{block.add!r} of {model.name!r} must add, in one call, a skip and what comes from {conv!r}: "
            f"which of them is the shortcut is not clear. Received: {' and then '.join(map(str, calls))}"
        )
    return comes_from_it.index(True)


def tensors_in(*arguments):
    """The symbolic tensors that a layer is called with, in the order of `branch_places`."""
    return [each for each in keras.tree.flatten(arguments) if isinstance(each, keras.KerasTensor)]


def _before(name, sources):
    """Names of a layer and of all that it hangs on."""
    found, waiting = set(), [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += [source for call in sources[each] for source in call]
    return found


def layers_of(model, which="blocks"):
    """Names of layers to compare.

    Args:
      model: a built functional or sequential `keras.Model`.
      which: "blocks" (what the stem and every block hand on), "all" (every layer with one output but
        inputs, models inside the model, and `Flatten`, which holds what the layer before it does), or names
        with commas between them.

    Returns:
      A list of names, in the order of the model or as given.

    Raises:
      ValueError: for "blocks" if the model has no blocks, for a name that it does not have, and for a
        model without a graph.
    """
    graph.feature_extractor(model)  # says what is wrong with a model that has no graph
    names = [layer.name for layer in model.layers if _can_be_tapped(layer)]
    if which == "all":
        return [name for name in names if not isinstance(model.get_layer(name), keras.layers.Flatten)]
    if which == "blocks":
        blocks = [block.last for block in blocks_of(model)]
        if not blocks:
            raise ValueError(
                f"model {model.name!r} has no blocks: none of its layers is named as stage1_block1_conv1. "
                f"Received: which='blocks'; take 'all' or names of layers, such as {names[-1]!r}"
            )
        return [name for name in names if name.startswith("stem_")][-1:] + blocks
    chosen = [name.strip() for name in which.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise ValueError(
            f"the layers must be 'blocks', 'all' or names of layers of {model.name!r}. "
            f"Received: {unknown[0] if unknown else which!r}; it has {names}"
        )
    return chosen


def _can_be_tapped(layer):
    return not isinstance(layer, (keras.layers.InputLayer, keras.Model)) and isinstance(
        layer.output, keras.KerasTensor
    )
