"""A network made again from its layers, with something put in or left out on the way."""

import math

import keras
import numpy as np
from keras import ops

from keras_kd.models import graph, outputs, weights
from keras_kd.utils import backend

# Of the largest output: what rounding may do on the way through a deep network, in float32 and where some
# layer computes in less.
TOLERANCE, LOW_PRECISION_TOLERANCE = 1e-3, 1e-1


def rebuild(model, call, name=None):
    """A network of new layers with the weights of `model`, in which `call` decides what each layer does.

    Args:
      model: a functional or sequential `keras.Model`.
      call: `call(layer, *args, **kwargs)`, in the order of the model, returns what follows from it;
        `layer` is the new one, of the same name and settings.
      name: of the result; None: that of `model`.

    Returns:
      A functional `keras.Model` of the same outputs; weights that `model` does not have are new.
    """
    with graph.deep_graphs():
        copy = keras.models.clone_model(graph.uncompiled(model), call_function=call)
        found = keras.Model(graph.inputs_of(copy), copy.output, name=name or model.name)
    weights.copy_by_layer(model, found)
    return found


def in_float32(model):
    """A network with a graph in float32, with those inside it: `model`, or a copy that has its weights."""
    if _is_float32(model):
        return model

    def copied(layer):
        if getattr(layer, "inputs", None):  # a model with a graph
            return keras.models.clone_model(graph.uncompiled(layer), clone_function=copied)
        config = layer.get_config()
        return type(layer).from_config(config | {"dtype": "float32"} if "dtype" in config else config)

    with graph.deep_graphs():
        copy = copied(model)
    weights.copy_by_layer(model, copy)
    return copy


class UnequalNetworksError(RuntimeError):
    """A network that was made of another does not compute what that one does."""


def check_equal(found, expected):
    """Raises an UnequalNetworksError if two networks answer differently to noise: a proof of the copy."""
    difference = largest_difference(found, expected, least=1.0)
    if difference > tolerance(expected):
        raise UnequalNetworksError(
            f"{found.name!r} does not compute what {expected.name!r} does: its logits differ by "
            f"{difference:.2g} of the largest"
        )


def tolerance(model):
    """What rounding may do to a network's outputs, as a share of the largest."""
    return TOLERANCE if _is_float32(model) else LOW_PRECISION_TOLERANCE


def largest_difference(found, expected, least=0.0):
    """How far what two networks compute for noise lies apart.

    Args:
      found, expected: built `keras.Model`s with the same outputs.
      least: the smallest value that differences are a share of.

    Returns:
      The largest difference in an output, as a share of its largest finite value; infinite where only one of
      both is infinite, and where one is not a number.
    """
    inputs = outputs.example(expected, rows=4, seed=0)
    with backend.full_float32():
        pairs = zip(
            *(keras.tree.flatten(network(inputs, training=False)) for network in (found, expected)),
            strict=True,
        )
        return max(_difference(*map(_as_array, pair), least) for pair in pairs)


def _as_array(value):
    return ops.convert_to_numpy(ops.cast(value, "float32"))


def _difference(found, expected, least):
    is_finite = np.isfinite(expected)
    values, others = expected[is_finite], expected[~is_finite]
    if not np.array_equal(found[~is_finite], others) or not np.isfinite(found[is_finite]).all():
        return math.inf  # also for NaN, which equals nothing
    largest = max(least, np.abs(values).max(initial=0.0)) or 1.0
    return float(np.abs(found[is_finite] - values).max(initial=0.0) / largest)


def _is_float32(model):
    layers = [layer for layer in graph.all_layers(model) if not isinstance(layer, keras.layers.InputLayer)]
    return all(layer.compute_dtype == "float32" for layer in layers)
