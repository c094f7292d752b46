"""Lesions: what a network still knows when blocks are silenced, or change places.

lesioned = LesionedModel(model)
lesioned.accuracy(images, labels, silenced=["stage2_block2"])

A `LesionedModel` is a copy of the network. Its weights are never moved either: every lesion is another list
of values for one compiled function, so a lesion costs one forward pass, and an error leaves nothing behind.

Source: Veit et al. 2016, arXiv:1605.06431, sections 4.1 to 4.3.
"""

import itertools

import keras
import numpy as np
from keras import ops

from keras_kd.analysis.reuse import features
from keras_kd.models import outputs, weights
from keras_kd.models.blocks import blocks_of, branch_places, tensors_in
from keras_kd.models.graph import deep_graphs, to_one_output
from keras_kd.utils import backend


@keras.saving.register_keras_serializable(package="keras_kd")
class Switch(keras.layers.Layer):
    """Hands on the first of two inputs, exactly; the second where its weight `kept` is 0 instead of 1."""

    def build(self, input_shape):
        self.kept = self.add_weight(name="kept", shape=(), initializer="ones", trainable=False)

    def call(self, inputs):
        return ops.where(self.kept > 0.5, *inputs)

    def compute_output_shape(self, input_shape):
        return input_shape[0]


def switchable(model):
    """A copy of a network in which each block that can be silenced ends in a `Switch`.

    The switch `{block}_switch` comes behind the shortcut's sum, with the skip alone in its place, or behind
    the last layer of a plain block, with the block's input in its place. A plain block that changes the
    shape gets none. As built, the copy does the same operations as the network on the same numbers; a
    compiler may round the two differently.

    Args:
      model: a network with blocks, see `blocks.blocks_of`; it stays as it is.

    Returns:
      A `keras.Model` with the layers and weights of `model`, and the switches.

    Raises:
      ValueError: for a model without such blocks.
    """
    _blocks_of(model)
    with deep_graphs():
        graph = to_one_output(model)
        copy = keras.models.clone_model(graph, call_function=_Switching(graph))
    weights.copy_by_layer(graph, copy)
    return copy


def _blocks_of(model):
    blocks = blocks_of(model)
    if not blocks:
        raise ValueError(
            f"model {model.name!r} has no blocks to silence: none of its layers is named as "
            f"stage1_block1_conv1. Take a network of keras_kd.models, or name your layers like there"
        )
    return blocks


class _Switching:
    """Calls the layers of a copy one by one, and a switch behind those that end a block."""

    def __init__(self, graph):
        blocks = [block for block in blocks_of(graph) if _can_be_silenced(graph, block)]
        self.firsts = {block.first for block in blocks}
        self.ends = {block.add or block.last: block for block in blocks}
        self.branches = branch_places(graph)
        self.entered = {}

    def __call__(self, layer, *args, **kwargs):
        if layer.name in self.firsts:
            self.entered[layer.name] = args[0]
        output = layer(*args, **kwargs)
        if layer.name not in self.ends:
            return output
        block = self.ends[layer.name]
        instead = self.entered.get(block.first)
        if block.add:
            instead = tensors_in(args, kwargs)[1 - self.branches[block.add]]
        return Switch(name=f"{block.name}_switch", dtype=layer.dtype_policy.name)([output, instead])


def _can_be_silenced(graph, block):
    if block.add:
        return True
    return graph.get_layer(block.first).input.shape == graph.get_layer(block.last).output.shape


class LesionedModel:
    """A network under lesions.

    Attributes:
      name: of the network.
      blocks: names of its blocks, in order.
      silenceable: those that can be silenced.
      swappable: pairs of blocks that can change places: of one stage, with weights of equal shapes.

    Args:
      model: a network with blocks, see `blocks.blocks_of`; it is copied and stays as it is.

    Raises:
      ValueError: for a model without such blocks.
    """

    def __init__(self, model):
        model = outputs.with_logits(model)
        blocks = _blocks_of(model)
        network = switchable(model)
        layers = {layer.name for layer in network.layers}
        self.name = model.name
        self._image_shape = network.input_shape[1:]
        self.blocks = tuple(block.name for block in blocks)
        self.silenceable = tuple(name for name in self.blocks if f"{name}_switch" in layers)
        self._intact = [
            [(variable.path, _tensor(variable)) for variable in variables]
            for variables in (network.trainable_variables, network.non_trainable_variables)
        ]
        self._weights = {name: self._weights_of(name) for name in self.blocks}
        self.swappable = tuple(
            (one.name, other.name)
            for one, other in itertools.combinations(blocks, 2)
            if one.stage == other.stage and self._shapes(one.name) == self._shapes(other.name)
        )
        self._forward = backend.compile_function(
            lambda state, images: network.stateless_call(*state, images, training=False)[0]
        )

    def logits(self, images, silenced=(), swapped=(), batch_size=256):
        """What the network answers with some blocks silenced and some in each other's place.

        Args:
          images: float `[n, height, width, channels]`, normalised.
          silenced: names of blocks; they are places, whatever weights are swapped into them.
          swapped: pairs of names, swapped one after the other; a block with itself changes nothing.
          batch_size: images at a time, at the most; the batches are of nearly equal size.

        Returns:
          float64 `[n, classes]`.

        Raises:
          ValueError: for images of another shape, a block that does not exist or cannot be silenced, and a
            pair that cannot be swapped; the message says why and what can.
        """
        self._check_images(images)
        changed = self._changed(silenced, swapped)
        state = [[changed.get(path, value) for path, value in values] for values in self._intact]
        answers = [
            ops.convert_to_numpy(self._forward(state, ops.convert_to_tensor(part)))
            for part in features.batches(images, batch_size)
        ]
        return np.concatenate(answers).astype(np.float64)

    def accuracy(self, images, labels, silenced=(), swapped=(), batch_size=256):
        """The share of right answers, in [0, 1]; `labels` int `[n]`, the rest as for `logits`."""
        return float(np.mean(self.right_answers(images, labels, silenced, swapped, batch_size)))

    def right_answers(self, images, labels, silenced=(), swapped=(), batch_size=256):
        """Which answers are right, bool `[n]`; arguments as for `accuracy`."""
        labels = np.asarray(labels)
        if labels.shape != (len(images),):
            raise ValueError(
                f"there must be one label for each image. Received: labels of shape {labels.shape} for "
                f"{len(images)} images"
            )
        return self.logits(images, silenced, swapped, batch_size).argmax(axis=1) == labels

    def _changed(self, silenced, swapped):
        """`{path: tensor}`, the variables that a lesion may change."""
        values = {}
        for block in silenced:
            self._check_silenceable(block)
            values[f"{block}_switch/kept"] = ops.zeros(())
        weights = dict(self._weights)
        for one, other in swapped:
            self._check_swappable(one, other)
            weights[one], weights[other] = weights[other], weights[one]
        for block, parts in weights.items():
            values.update({f"{block}_{part}": value for part, value in parts.items()})
        return values

    def _weights_of(self, block):
        """`{path within the block: tensor}`, without its switch."""
        return {
            path.removeprefix(f"{block}_"): value
            for path, value in itertools.chain(*self._intact)
            if path.startswith(f"{block}_") and not path.startswith(f"{block}_switch/")
        }

    def _shapes(self, block):
        return {part: tuple(value.shape) for part, value in self._weights[block].items()}

    def _check_images(self, images):
        """Keras does not once TensorFlow has traced a second shape: then it sees no number of channels."""
        shape = tuple(images.shape)
        if len(shape) != 4 or any(
            size not in (None, given) for size, given in zip(self._image_shape, shape[1:], strict=True)
        ):
            wanted = ", ".join(str(size or "any") for size in self._image_shape)
            raise ValueError(f"{self.name!r} takes images [n, {wanted}]. Received: images of shape {shape}")

    def _check_exists(self, block):
        if block not in self.blocks:
            raise ValueError(f"{self.name!r} has no such block. Received: {block!r}; it has {self.blocks}")

    def _check_silenceable(self, block):
        self._check_exists(block)
        if block not in self.silenceable:
            raise ValueError(
                f"{block} of {self.name!r} changes the shape of its input, so without shortcut nothing can "
                f"take its place; can be silenced: {', '.join(self.silenceable) or 'none'}"
            )

    def _check_swappable(self, one, other):
        self._check_exists(one)
        self._check_exists(other)
        if one != other and not {(one, other), (other, one)} & set(self.swappable):
            raise ValueError(
                f"{one} and {other} of {self.name!r} are not of one stage or have weights of different "
                f"shapes; can be swapped: {', '.join(map(' and '.join, self.swappable)) or 'none'}"
            )


def _tensor(variable):
    """Its value; Keras hands on the variable itself where a tensor is asked for, and it would be traced."""
    return ops.convert_to_tensor(ops.convert_to_numpy(variable))
