"""A network as the list of its operations: what each reads, what it writes, and the shapes of both."""

import dataclasses
import math

import keras

from keras_kd.models.graph import deep_graphs, inputs_of


class Shape(tuple):
    """Of a tensor, without the batch: what stands for a tensor among the arguments of an operation."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of a network.

    Attributes:
      name: of the layer.
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
    """The operations of a network in order, models inside it opened; see `cost.cost` for what is refused."""
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
    shapes = _shapes(config) | dict(
        zip(_names(config["output_layers"]), map(_shape, graph.outputs), strict=True)
    )
    names = dict(zip(_names(config["input_layers"]), given, strict=True))
    for operation in config["layers"]:
        name, calls = operation["name"], operation["inbound_nodes"]
        if not calls:
            continue  # an input
        if len(calls) > 1:
            raise ValueError(
                f"layer {name!r} is called {len(calls)} times: memory is told for layers that are called once"
            )
        reads = tuple(names[source] for source in _names(calls))
        layer = layers.get(name)
        if isinstance(layer, keras.Model):
            (names[name],) = _walk(layer, reads, f"{prefix}{name}/", found)
        else:
            names[name] = f"{prefix}{name}"
            (call,) = calls
            found.append(
                Operation(
                    name=names[name],
                    kind=operation["class_name"] if layer is None else type(layer).__name__,
                    layer=layer,
                    args=_arguments(call["args"]),
                    kwargs=_arguments(call["kwargs"]),
                    reads=reads,
                    writes=names[name],
                    shape=shapes[name],
                )
            )
    return [names[name] for name in _names(config["output_layers"])]


def _shape(tensor):
    return tuple(tensor.shape[1:])


def _shapes(node):
    """`{operation: shape}` of all tensors that a functional model's configuration mentions."""
    if isinstance(node, dict) and "keras_history" in node:
        return {node["keras_history"][0]: tuple(node["shape"][1:])}
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return {name: shape for part in parts for name, shape in _shapes(part).items()}


def _arguments(node):
    """The arguments of a call in such a configuration, with a `Shape` in place of each tensor."""
    if isinstance(node, dict):
        if "keras_history" in node.get("config", {}):
            return Shape(node["config"]["shape"][1:])
        return {name: _arguments(part) for name, part in node.items()}
    return tuple(map(_arguments, node)) if isinstance(node, (list, tuple)) else node


def _names(node):
    """Names of the operations whose outputs a call, or a list of outputs, in such a configuration takes."""
    if isinstance(node, dict):
        history = node.get("keras_history")
        return [history[0]] if history else [name for part in node.values() for name in _names(part)]
    if isinstance(node, (list, tuple)):
        if len(node) == 3 and isinstance(node[0], str):  # the form of inputs and outputs
            return [node[0]]
        return [name for part in node for name in _names(part)]
    return []
