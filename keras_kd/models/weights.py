"""The weights of a network by name: copied, compared, and what a network is known by."""

import collections
import contextlib
import hashlib
import math

import keras
import numpy as np
from keras import ops

from keras_kd.models import graph

# Ends of the paths of what BatchNorm measures of the data.
STATISTICS = ("moving_mean", "moving_variance")

# Further names of weights that no training finds: of Normalization, SpectralNormalization, FadingShortcut.
_NEVER_TRAINED = (*STATISTICS, "mean", "variance", "count", "vector_u", "step")


def read_variables(variables):
    """`{name: array}` of Keras variables; the names begin with the place, since paths may repeat."""
    return {
        f"{place:06d} {variable.path}": np.array(keras.ops.convert_to_numpy(variable))
        for place, variable in enumerate(variables)
    }


def count_parameters(model, trained=True):
    """How many numbers a network holds: the one count of parameters, which papers give.

    Args:
      model: a built `keras.Model`.
      trained: whether to count what training finds, whether or not it is frozen now (kernels, biases, scales
        and offsets of a normalisation), or all else that the network stores (statistics of the data).

    Returns:
      A whole number; both counts together are `model.count_params()`.
    """
    parts = graph.all_parts(model)
    frozen = {id(weight) for part in parts if not part.trainable for weight in part.weights}

    def is_trained(weight):
        may_be = id(weight) in frozen and weight.path.split("/")[-1] not in _NEVER_TRAINED
        return weight.trainable or may_be

    return sum(math.prod(weight.shape) for weight in model.weights if is_trained(weight) == trained)


def digest(model):
    """A short fingerprint of a network's weights: shapes, types and values."""
    found = hashlib.sha256()
    for value in read_variables(model.weights).values():
        found.update(f"{value.shape} {value.dtype}".encode())
        found.update(value.tobytes())
    return found.hexdigest()[:16]


def structure(model):
    """A short fingerprint of a network's layers and how they are connected, but for their names."""
    found = hashlib.sha256()
    for layer in (model, *graph.all_layers(model)):
        found.update(type(layer).__name__.encode())
        with contextlib.suppress(NotImplementedError):  # as subclassed layers and models may
            config = _wiring(layer) if isinstance(layer, keras.Model) else layer.get_config()
            found.update(repr({name: value for name, value in config.items() if name != "name"}).encode())
    return found.hexdigest()[:16]


def fingerprint(model):
    """What a network is known by: its layers, how they are connected, and its weights."""
    return f"{structure(model)}-{digest(model)}"


def _wiring(model):
    """The operations of a functional model and what each reads, by places; nothing of another model."""
    operations = model.get_config().get("layers", []) if hasattr(model, "operations") else []
    places = {operation["name"]: place for place, operation in enumerate(operations) if "name" in operation}

    def by_place(value):
        if isinstance(value, dict):
            return {key: by_place(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [by_place(item) for item in value]
        return places.get(value, value) if isinstance(value, str) else value

    return {
        place: (operation["class_name"], by_place(operation.get("inbound_nodes")))
        for place, operation in enumerate(operations)
    }


def copy_weights(source, target):
    """Copies the weights of every layer of `source` to the layer of that name in `target`.

    Args:
      source: a built functional or sequential `keras.Model`.
      target: another, with the same weights: names, shapes and order.

    Raises:
      ValueError: if the two differ in a weight's name or shape; `target` is unchanged then.
    """
    given, wanted = _by_path(source), _by_path(target)
    check_same_weights(given, wanted, (source.name, target.name))
    for key, weight in wanted.items():
        weight.assign(ops.convert_to_numpy(given[key]))  # a copy: JAX would share the buffer
    _settle(target)


def _by_path(model):
    """`{path: weight}`; where several have one path, as in two models inside, it is told with their place."""
    found, counts = {}, collections.Counter()
    for weight in model.weights:
        path, place = weight.path, counts[weight.path]
        found[f"{path} ({place + 1})" if place else path] = weight
        counts[path] += 1
    return found


def copy_by_layer(source, target, but=()):
    """Copies the weights of each layer of `source` to the layer of that name in `target`, if it has one.

    They are told by their order in the layer: what it holds may be named otherwise in a copy.

    Args:
      source: a built functional or sequential `keras.Model`.
      target: another, whose layers of the same names have the same weights.
      but: names of layers that are left as they are.
    """
    targets = {layer.name: layer for layer in target.layers if layer.name not in but}
    for layer in source.layers:
        if layer.weights and layer.name in targets:
            targets[layer.name].set_weights(layer.get_weights())
    _settle(target)


def by_layer(model):
    """`{(name of a layer, place): weight}` of a model: how `copy_by_layer` tells weights apart."""
    return {
        (layer.name, place): weight for layer in model.layers for place, weight in enumerate(layer.weights)
    }


def _settle(model):
    """Has layers take over what their weights say now, where they compute with something made of them."""
    for part in graph.all_parts(model):
        if isinstance(part, keras.layers.Normalization):
            part.finalize_state()


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


def check_same_weights(first, second, names):
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
