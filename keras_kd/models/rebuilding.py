"""A network made again from its layers, with something put in or left out on the way."""

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
      model: a functional `keras.Model`.
      call: `call(layer, *args, **kwargs)`, in the order of the model, returns what follows from it;
        `layer` is the new one, of the same name and settings.
      name: of the result; None: that of `model`.

    Returns:
      A functional `keras.Model`; weights that `model` does not have are new.
    """
    with graph.deep_graphs():
        copy = keras.models.clone_model(model, call_function=call)
        found = keras.Model(graph.inputs_of(copy), copy.outputs[0], name=name or model.name)
    weights.copy_common(model, found)
    return found


def in_float32(model):
    """A functional network that computes in float32: `model` itself, or a copy with copies of its weights."""
    if _is_float32(model):
        return model

    def copied(layer):
        config = layer.get_config()
        return type(layer).from_config(config | {"dtype": "float32"} if "dtype" in config else config)

    with graph.deep_graphs():
        copy = keras.models.clone_model(model, clone_function=copied)
    weights.copy_common(model, copy)
    return copy


def check_equal(found, expected):
    """Raises a RuntimeError if two networks answer differently to noise: a transformation proves itself."""
    inputs = outputs.example(expected, rows=4, seed=0)
    with backend.full_float32():
        answers = [
            ops.convert_to_numpy(ops.cast(network(inputs, training=False), "float32"))
            for network in (found, expected)
        ]
    scale = max(1.0, float(np.abs(answers[1]).max()))
    difference = float(np.abs(answers[0] - answers[1]).max()) / scale
    if not difference <= (TOLERANCE if _is_float32(expected) else LOW_PRECISION_TOLERANCE):
        raise RuntimeError(
            f"{found.name!r} does not compute what {expected.name!r} does: its logits differ by "
            f"{difference:.2g} of the largest"
        )


def _is_float32(model):
    layers = [layer for layer in graph.all_layers(model) if not isinstance(layer, keras.layers.InputLayer)]
    return all(layer.compute_dtype == "float32" for layer in layers)
