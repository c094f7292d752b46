"""A network as the list of its operations: what each reads, what it writes, and the shapes of both."""

import dataclasses
import math

import keras

from keras_kd.models.graph import deep_graphs, inputs_of, source_calls


class Shape(tuple):
    """Of a tensor, without the batch: what stands for a tensor among the arguments of an operation."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of a network.

    Attributes:
      name: of the layer, with the number of the call from the second on.
      kind: name of its class.
      layer: the `keras.layers.Layer`; None for an operation that is none.
      args, kwargs: what it is called with, a `Shape` in place of each tensor.
      reads: names of the feature maps that it needs.
      writes: name of the one that it makes.
      shape: of that, without the batch.
    """

    name: str
    kind: str
    layer: keras.layers.Layer | None
    args: tuple
    kwargs: dict
    reads: tuple
    writes: str
    shape: tuple

    @property
    def elements(self):
        """Numbers in what it writes."""
        return math.prod(self.shape)


def list_operations(model):
    """The operations of a network in order, models inside it opened; see `cost.cost` for what is refused.

    A layer that is called again is an operation again, in the order of the model as far as what it reads is
    there by then.
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"only functional and sequential models that are built have a graph. "
            f"Received: model={model.name!r} of type {type(model).__name__}"
        )
    if len(model.inputs) != 1 or None in model.inputs[0].shape[1:]:
        raise ValueError(
            f"the model must have one input of known size. Received: {model.name!r} with inputs of shapes "
            f"{[tuple(tensor.shape) for tensor in model.inputs]}; build it for the size that you run"
        )
    found = []
    _walk(model, [IMAGE], "", found)
    return found


IMAGE = "image"


def _walk(model, given, prefix, found):
    """Adds a model's operations; returns the names of its outputs."""
    with deep_graphs():
        graph = keras.Model(inputs_of(model), model.outputs)
    config = graph.get_config()
    layers = {layer.name: layer for layer in graph.layers}
    outputs = source_calls(config["output_layers"])
    shapes = _shapes(config) | dict(zip(outputs, map(_shape, graph.outputs), strict=True))
    names = dict(zip(source_calls(config["input_layers"]), given, strict=True))
    calls = [
        _Call(operation, number, call)
        for operation in config["layers"]
        for number, call in enumerate(operation["inbound_nodes"])
    ]
    while calls:
        call = calls.pop(next(place for place, each in enumerate(calls) if names.keys() >= {*each.reads}))
        reads = tuple(names[source] for source in call.reads)
        layer = layers.get(call.name)
        written = f"{prefix}{call.title}"
        if isinstance(layer, keras.Model):
            (names[call.place],) = _walk(layer, reads, f"{written}/", found)
        else:
            names[call.place] = written
            found.append(call.described(layer, written, reads, shapes[call.place]))
    return [names[source] for source in outputs]


class _Call:
    """One call of a layer or operation in a functional model's configuration."""

    def __init__(self, operation, number, call):
        self.name = operation["name"]
        self.place = (self.name, number)
        self.reads = source_calls(call)
        self.title = f"{self.name} (call {number + 1})" if number else self.name
        self._operation, self._call = operation, call

    def described(self, layer, written, reads, shape):
        """The `Operation`."""
        return Operation(
            name=written,
            kind=self._operation["class_name"] if layer is None else type(layer).__name__,
            layer=layer,
            args=_arguments(self._call["args"]),
            kwargs=_arguments(self._call["kwargs"]),
            reads=reads,
            writes=written,
            shape=shape,
        )


def _shape(tensor):
    return tuple(tensor.shape[1:])


def _shapes(node):
    """`{(operation, number of its call): shape}` of all tensors that such a configuration mentions."""
    if isinstance(node, dict) and "keras_history" in node:
        return {tuple(node["keras_history"][:2]): tuple(node["shape"][1:])}
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return {place: shape for part in parts for place, shape in _shapes(part).items()}


def _arguments(node):
    """The arguments of a call in such a configuration, with a `Shape` in place of each tensor."""
    if isinstance(node, dict):
        if "keras_history" in node.get("config", {}):
            return Shape(node["config"]["shape"][1:])
        return {name: _arguments(part) for name, part in node.items()}
    return tuple(map(_arguments, node)) if isinstance(node, (list, tuple)) else node
