"""What a network returns: logits or probabilities; and the logits of one that ends in an activation.

scores = with_logits(network)  # the network itself if it returns logits
"""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_kd.models import graph
from keras_kd.models.graph import UNKNOWN_SIZE

# Activations at the end of a network whose values are probabilities: of classes, or each on its own.
_OF_CLASSES = ("softmax", "sparsemax")
_INDEPENDENT = ("sigmoid", "hard_sigmoid")

_UNCHANGED = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.Reshape,
)


def with_logits(model, role="network", *, independent=False):
    """See `logits.logits_of`.

    Args:
      model: a `keras.Model` with one output `[batch, classes]`.
      role: what it is called in an error.
      independent: whether outputs that are probabilities of their own (sigmoid) are taken, too. Softmax of
        their logits is not what the network says.

    Returns:
      A `keras.Model`. One that is not built, and does not say what it ends in, is returned as it is.

    Raises:
      ValueError: for one that ends in an activation and is not built, or independent probabilities that are
        not taken.
    """
    activation = ends_in(model)
    if activation in _INDEPENDENT and not independent:
        raise ValueError(
            f"the {role} {model.name!r} ends in {activation}: its outputs are probabilities of their own, "
            f"not of classes that exclude each other. Build it with activation=None and an output a class"
        )
    if activation not in (*_OF_CLASSES, *_INDEPENDENT):
        return model
    _check_one_output(model, role)
    if not model.built:
        raise ValueError(
            f"the {role} {model.name!r} ends in {activation}: build it (give it a keras.Input), and its "
            f"logits are taken; or build it with activation=None"
        )
    logits = _without_activation(model)
    if logits is not None and _are_logits(logits, model, activation):
        return logits
    if activation == "softmax":
        _check_sums(model, role)
    return _from_probabilities(model, activation in _INDEPENDENT)


def ends_in(model):
    """The name of the activation that a network ends in, "linear" if none; None if it cannot be known.

    The layers say it; where they do not (subclassed models, own layers), the values for some noise do.
    """
    known, layer = _last_activation(model)
    if known and _is_known(layer):
        return known
    measured = _measured(model)
    return known or measured if measured in (None, "linear") else measured


def example(model, rows=1, seed=None):
    """A batch of ones (of noise if `seed` is given) for a built model; its open sizes are `_open_size`."""
    random = None if seed is None else np.random.default_rng(seed)
    open_size = _open_size(model)

    def values(shape, dtype="float32"):
        shape = [rows, *(size or open_size for size in shape[1:])]
        return ops.cast(np.ones(shape) if random is None else random.normal(size=shape), dtype)

    if not getattr(model, "inputs", None):
        return values(input_shapes(model)[0])
    return keras.tree.map_structure(lambda x: values(x.shape, x.dtype), graph.inputs_of(model))


def _open_size(model):
    """What stands for the sizes that a model leaves open: `UNKNOWN_SIZE`, or what it does not make empty."""
    has_graph = bool(getattr(model, "inputs", None))
    if not has_graph or None not in [size for shape in input_shapes(model) for size in shape[1:]]:
        return UNKNOWN_SIZE
    for doublings in range(_MOST_DOUBLINGS):
        size = UNKNOWN_SIZE * 2**doublings
        shapes = keras.tree.map_structure(
            lambda x, size=size: (None, *(each or size for each in x.shape[1:])), graph.inputs_of(model)
        )
        with contextlib.suppress(ValueError):  # of a convolution or pooling that nothing is left of
            model.compute_output_shape(shapes)
            return size
    return UNKNOWN_SIZE


_MOST_DOUBLINGS = 8


def input_shapes(model):
    """The shapes of a model's inputs, `(None, ...)` each, as a list; None if they are not known yet."""
    if getattr(model, "inputs", None):
        return [(None, *x.shape[1:]) for x in model.inputs]
    shape = (model.get_build_config() or {}).get("input_shape")
    is_one_shape = isinstance(shape, (tuple, list)) and not any(map(keras.tree.is_nested, shape))
    return [(None, *shape[1:])] if is_one_shape else None


def returned_by(model):
    """What a built model returns: of its graph symbolic, else for a batch of ones."""
    if isinstance(model, keras.Sequential) and model.inputs:
        return model.outputs[0]
    return model.output if getattr(model, "inputs", None) else model(example(model), training=False)


def symbolic_ends(model, input_name=None):
    """`(inputs, output)` of a built model with one output, symbolic: of its own graph, else of a call.

    Args:
      model: a `keras.Model`.
      input_name: of the input that a model without a graph is called on; None: as Keras counts them.
    """
    if getattr(model, "inputs", None):
        return graph.inputs_of(model), model.outputs[0]
    inputs = keras.Input(input_shapes(model)[0][1:], name=input_name)
    return inputs, model(inputs)


def _check_one_output(model, role):
    """Raises a ValueError for a functional model that returns a dict or several tensors."""
    is_functional = getattr(model, "inputs", None) and not isinstance(model, keras.Sequential)
    if is_functional and not hasattr(model.output, "shape"):
        shapes = keras.tree.map_structure(lambda x: tuple(x.shape), model.output)
        raise ValueError(
            f"the {role} must have one output of shape [batch, classes]. "
            f"Received: {shapes} from {model.name!r}"
        )


def _check_sums(model, role):
    """Raises a ValueError where softmax was taken over something else than the classes of an example."""
    returned = ops.cast(model(example(model, rows=8, seed=0), training=False), "float32")
    sums = ops.convert_to_numpy(ops.sum(returned, axis=-1)).ravel()
    if np.any(np.abs(sums - 1) > _SUM_TOLERANCE):
        raise ValueError(
            f"the {role} {model.name!r} ends in softmax, and what it returns for an example does not sum to "
            f"1: take softmax over the classes, or build it with activation=None. "
            f"Received: a sum of {sums[0]:g}"
        )


_SUM_TOLERANCE = 0.1  # bfloat16 has three digits, and there may be a thousand classes


def _last_activation(model):
    """`(name of the activation, layer or operation that has it)`; `(None, None)` if they do not say it."""
    layer, _ = _end(model)
    if layer is None:
        return None, None
    return _last_activation(layer) if isinstance(layer, keras.Model) else (_activation(layer), layer)


def _end(model):
    """The layer or operation that decides what a model returns (or None), and those that hand it on."""
    layer, after = _last(model), []
    while layer is not None and _hands_on(layer):
        after.append(layer)
        layer = graph.layer_before(model, layer)
    return layer, after


def _hands_on(layer):
    is_linear = isinstance(layer, keras.layers.Activation) and _activation(layer) == "linear"
    return isinstance(layer, _UNCHANGED) or is_linear


def _last(model):
    """The layer or operation that makes a model's output; None if it does not say."""
    if isinstance(model, keras.Sequential):
        return model.layers[-1] if model.layers else None
    if not getattr(model, "inputs", None):
        return None
    return graph.maker_of(model, model.outputs[0]) or graph.model_inside(model)


def _only_activates(layer):
    is_operation = not isinstance(layer, keras.layers.Layer)
    return is_operation or isinstance(layer, (keras.layers.Activation, keras.layers.Softmax))


def _activation(layer):
    """The name of a layer's activation; that of `ops.softmax` and its kin is the operation's class."""
    if isinstance(layer, keras.layers.Softmax) or type(layer).__name__ == "Softmax":
        return "softmax"
    if layer is not None and not isinstance(layer, keras.layers.Layer):
        name = type(layer).__name__.lower()
        return {"hardsigmoid": "hard_sigmoid"}.get(
            name, name if name in (*_OF_CLASSES, *_INDEPENDENT) else "linear"
        )
    function = getattr(layer, "activation", None)
    if isinstance(function, keras.layers.Layer):
        return _activation(function)
    return "linear" if function is None else getattr(function, "__name__", type(function).__name__)


def _is_known(layer):
    """Whether a layer and its activation are Keras's own: their names then say what they compute.

    One without an activation, such as a pooling or a Rescaling, may hand on what was probabilities before.
    """
    if getattr(layer, "returns_logits", False):
        return True
    own = getattr(keras.layers, type(layer).__name__, None) is type(layer)
    function = getattr(layer, "activation", None)
    named = getattr(function, "__name__", "")  # a layer, or a part of a function, has none
    return own and function is not None and getattr(keras.activations, named, None) is function


def _measured(model):
    """What the values for some noise look like: "softmax", "sigmoid" or "linear"; None if unknown."""
    if not model.built or input_shapes(model) is None:
        return None
    if not all(keras.backend.is_float_dtype(x.dtype) for x in getattr(model, "inputs", None) or ()):
        return None  # indices, say, which noise is not
    noise = example(model, rows=8, seed=0)
    large = keras.tree.map_structure(lambda x: 1000 * x, noise)
    try:
        outputs = [model(inputs, training=False) for inputs in (noise, large)]
    except Exception:  # each backend has its own for a network of indices that does not say so
        return None
    if not all(hasattr(each, "shape") and len(each.shape) > 1 for each in outputs):
        return None
    values = np.concatenate([ops.convert_to_numpy(ops.cast(each, "float32")) for each in outputs])
    if np.any(values < 0) or np.any(values > 1 + 1e-3) or not values.any():
        return "linear"  # scores of small weights, or of a ReLU, grow with what is put in
    sums = values.sum(axis=-1)
    return "softmax" if values.shape[-1] > 1 and np.allclose(sums, 1, atol=1e-3) else "sigmoid"


def _without_activation(model):
    """The network on the same layers up to its last activation; None if it has no graph."""
    try:
        with graph.deep_graphs():
            end = _end(model)[0]
            if isinstance(end, keras.Model):
                return _with_other_inside(model, end)
            if not isinstance(end, keras.layers.Layer) and _activation(end) == "linear":
                return None  # such as p / sum(p): what it takes are no logits
            return keras.Model(graph.inputs_of(model), _logits(model), name=model.name)
    except (AttributeError, ValueError):  # subclassed, or layers of another graph
        return None


def _from_probabilities(model, independent):
    """The network with the logits of what it returns computed from that."""
    with graph.deep_graphs():
        inputs, returned = symbolic_ends(model)
        return keras.Model(inputs, LogitsOfProbabilities(independent)(returned), name=model.name)


def _are_logits(logits, model, activation):
    """Whether the activation of `logits` is what the model returns: one of its own may divide them first.

    Believed of layers of Keras's own where they do not take noise, as text.
    """
    try:
        inputs = example(model, rows=8, seed=0)
        scores, returned = (
            ops.cast(network(inputs, training=False), "float32") for network in (logits, model)
        )
    except Exception:  # each backend has its own
        return _is_known(_last_activation(model)[1])
    expected = ops.sigmoid(scores) if activation in _INDEPENDENT else ops.softmax(scores)
    return bool(ops.all(ops.abs(expected - returned) < 1e-2))  # bfloat16 has three digits


def _with_other_inside(model, inside):
    """The network on the same layers, but for a model inside, which returns its logits.

    What comes before it stays, so that the outputs of these layers are those of `model`.
    """
    other = _without_activation(inside)
    if other is None:
        return None
    after = {layer.name for layer in _end(model)[1]}
    calls = graph.calls_of(model)

    def call(layer, *args, **kwargs):
        if layer.name == inside.name:
            return other(*args, **kwargs)
        has_one_output = not isinstance(layer, keras.Model) and calls.get(layer.name) == 1
        return layer.output if has_one_output and layer.name not in after else layer(*args, **kwargs)

    return keras.models.clone_model(
        graph.to_one_output(model),
        input_tensors=graph.inputs_of(model),
        clone_function=lambda layer: layer,
        call_function=call,
    )


def _logits(model):
    """The symbolic output of a functional or sequential model without the activation that it ends in."""
    layer, after = _end(model)
    tensor = layer.input if _only_activates(layer) else WithoutActivation(layer)(layer.input)
    for each in reversed(after):
        tensor = each(tensor)
    return tensor


@keras.saving.register_keras_serializable(package="keras_kd")
class WithoutActivation(keras.layers.Layer):
    """What a layer computes before its activation, with the layer's own variables.

    Args:
      layer: one with an attribute `activation`, such as `Dense`; it is not changed.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**{"name": f"{layer.name}_without_activation", "dtype": layer.dtype_policy} | kwargs)
        self.layer = layer

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)
        self.built = True

    def call(self, inputs):
        activation, self.layer.activation = self.layer.activation, keras.activations.linear
        try:
            return self.layer(inputs)
        finally:
            self.layer.activation = activation

    def get_config(self):
        return {**super().get_config(), "layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config):
        return cls(
            keras.saving.deserialize_keras_object(config["layer"]),
            **{name: value for name, value in config.items() if name != "layer"},
        )


# The least float32 that is not rounded to 0, and how far from 0 and 1 odds are told.
_LEAST_PROBABILITY, _LEAST_ODDS = 1.2e-38, 6e-8


@keras.saving.register_keras_serializable(package="keras_kd")
class LogitsOfProbabilities(keras.layers.Layer):
    """Logits of which softmax, or sigmoid, makes the probabilities that are given.

    Args:
      independent: whether each is a probability of its own: log(p / (1 - p)); else log(p).
    """

    returns_logits = True

    def __init__(self, independent=False, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.independent = independent
        self.built = True

    def call(self, probabilities):
        """float32, of the shape that is given."""
        probabilities = ops.cast(probabilities, "float32")
        if not self.independent:
            return ops.log(ops.maximum(probabilities, _LEAST_PROBABILITY))
        probabilities = ops.clip(probabilities, _LEAST_ODDS, 1 - _LEAST_ODDS)
        return ops.log(probabilities) - ops.log1p(-probabilities)

    def get_config(self):
        return {**super().get_config(), "independent": self.independent}
