"""One forward pass with many outputs, and weights copied by name."""

import keras
import numpy as np
from keras import ops

from keras_kd.resnet import deep_graphs


def tap(model, layer_names=()):
    """A model that computes `model`'s output and the outputs of some of its layers at once.

    It shares the layers of `model`: nothing is copied and nothing runs twice.

    Args:
      model: a built functional or sequential `keras.Model` with one output.
      layer_names: names of its layers.

    Returns:
      A `keras.Model` with the outputs `{"logits": model's output, layer_name: its output, ...}`.

    Raises:
      ValueError: for a subclassed model, or a name that the model does not have.
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"only functional and sequential models that are built have layers to tap. "
            f"Received: model={model.name!r} of type {type(model).__name__}"
        )
    known = {layer.name for layer in model.layers}
    unknown = [name for name in layer_names if name not in known]
    if unknown:
        raise ValueError(f"model {model.name!r} has no layer {unknown[0]!r}; it has {sorted(known)}")
    outputs = {"logits": model.outputs[0]}
    outputs.update({name: model.get_layer(name).output for name in layer_names})
    with deep_graphs():
        return keras.Model(inputs_of(model), outputs, name=f"{model.name}_taps")


def inputs_of(model):
    """The symbolic inputs of a functional or sequential model, in the structure that it takes."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def copy_weights(source, target):
    """Copies the weights of every layer of `source` to the layer of that name in `target`.

    Args:
      source: a built functional or sequential `keras.Model`.
      target: another, with the same weights: names, shapes and order.

    Raises:
      ValueError: if the two differ in a weight's name or shape; `target` is unchanged then.
    """
    given = {weight.path: weight for weight in source.weights}
    wanted = {weight.path: weight for weight in target.weights}
    check_same(given, wanted, (source.name, target.name))
    for key, weight in wanted.items():
        weight.assign(ops.convert_to_numpy(given[key]))  # a copy: JAX would share the buffer


def weights_of(model):
    """Copies of a model's weights by name, `{path: array}`, without the states of random layers.

    Raises:
      ValueError: if two weights have the same name, as in two models inside a model.
    """
    found = {weight.path: np.array(ops.convert_to_numpy(weight)) for weight in model.weights}
    if len(found) < len(model.weights):
        paths = [weight.path for weight in model.weights]
        twice = next(path for path in paths if paths.count(path) > 1)
        raise ValueError(
            f"model {model.name!r} has two weights named {twice!r}, so names do not tell them apart: "
            f"give its layers names of their own"
        )
    return found


def check_same(first, second, names):
    """Raises a ValueError if two sets of weights, `{path: array}`, differ in a weight's name or shape.

    Args:
      first, second: what is compared.
      names: of the two, for the message.
    """
    strangers = sorted(first.keys() ^ second.keys())
    if strangers:
        raise ValueError(
            f"{names[0]!r} and {names[1]!r} have different weights: only one of them has "
            f"{strangers[0]!r} ({len(strangers)} such in all)"
        )
    for key, weight in second.items():
        if weight.shape != first[key].shape:
            raise ValueError(
                f"weight {key!r} has shape {tuple(first[key].shape)} in {names[0]!r} and "
                f"{tuple(weight.shape)} in {names[1]!r}"
            )


def all_layers(model):
    """The layers of a model and of the models inside it, outermost first."""
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from all_layers(layer)
