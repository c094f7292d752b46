"""A network made again from its layers, with something put in or left out on the way."""

import keras
import numpy as np
from keras import ops

from keras_kd.models import graph, outputs, weights

# Of the largest output: what rounding may do on the way through a deep network, in float32 (TF32 on GPUs) and
# where some layer computes in less.
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


def check_equal(found, expected):
    """Raises a RuntimeError if two networks answer differently to noise: a transformation proves itself."""
    inputs = outputs.example(expected, rows=4, seed=0)
    answers = [
        ops.convert_to_numpy(ops.cast(network(inputs, training=False), "float32"))
        for network in (found, expected)
    ]
    scale = max(1.0, float(np.abs(answers[1]).max()))
    difference = float(np.abs(answers[0] - answers[1]).max()) / scale
    is_float32 = all(layer.compute_dtype == "float32" for layer in graph.all_layers(expected))
    if not difference <= (TOLERANCE if is_float32 else LOW_PRECISION_TOLERANCE):
        raise RuntimeError(
            f"{found.name!r} does not compute what {expected.name!r} does: its logits differ by "
            f"{difference:.2g} of the largest"
        )
