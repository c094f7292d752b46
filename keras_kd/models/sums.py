"""The sums of a network, wherever they stand: layers, operators, and those of models inside it."""

import keras

from keras_kd.models import graph


def sums_of(model):
    """What adds tensors in a network: `keras.Operation`s, of models and layers inside it too.

    A sum that a layer computes in its own `call` is not seen.
    """
    parts = graph.all_parts(model)
    models = [model, *(part for part in parts if isinstance(part, keras.Model))]
    operations = [each for every in models for each in getattr(every, "operations", ())]
    return [each for each in {id(each): each for each in [*operations, *parts]}.values() if _adds(each)]


def _adds(operation):
    if isinstance(operation, keras.layers.Layer):
        return isinstance(operation, keras.layers.Add)
    return type(operation).__name__ == "Add" and len(keras.tree.flatten(operation.input)) > 1
