"""What a network costs to run: parameters, multiply-adds, and the memory that its feature maps hold.

    card = cost(model)
    card.multiply_adds, card.peak("float32"), card.peak("uint8")
    [moment.held for moment in card.moments]  # what shortcuts keep in memory, step by step

All is computed from the graph, for one image; nothing runs.
"""

import dataclasses
import math

import keras

from keras_kd.models.graph import deep_graphs, inputs_of

BYTES = {"float32": 4, "uint8": 1}


# Change no number and have no place of their own in memory.
_VIEWS = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
    keras.layers.GaussianNoise,
    keras.layers.SpatialDropout2D,
)


# Written over what they read, or joined to the operation that made it, where nobody else reads that.
_IN_PLACE = (
    keras.layers.Activation,
    keras.layers.Add,
    keras.layers.BatchNormalization,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
)

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
)


@dataclasses.dataclass(frozen=True)
class Op:
    """One operation of a network.

    Attributes:
      name: of the layer.
      layer: the `keras.layers.Layer`; None for an operation that is none.
      reads: names of the feature maps that it needs.
      writes: name of the one that it makes.
      shape: of that, without the batch.
    """

    name: str
    layer: keras.layers.Layer | None
    reads: tuple
    writes: str
    shape: tuple

    @property
    def elements(self):
        """Numbers in what it writes."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class MemoryStep:
    """What lies in memory while one operation runs, in numbers (not bytes).

    Attributes:
      name: of the layer.
      used: in what it reads and writes.
      held: in all else, which waits for a later operation: what shortcuts keep. 0 in a chain.
    """

    name: str
    used: int
    held: int

    @property
    def live(self):
        return self.used + self.held


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
      parameters: numbers that are trained: kernels, biases, BatchNorm's scales and offsets.
      multiply_adds: of convolutions and dense layers; what else there is, is not counted.
      image: numbers in the input, which the runtime keeps, as raw bytes, as long as it runs; in no moment.
      moments: a `Moment` for each operation that takes memory, in the order of the model.
    """

    parameters: int
    multiply_adds: int
    image: int
    moments: tuple

    @property
    def highest(self):
        """The first `Moment` of the highest memory."""
        return max(self.moments, key=lambda moment: moment.live)

    def peak(self, dtype):
        """Bytes at the highest moment: feature maps of a dtype of `BYTES`, and the image, a byte a number."""
        return self.highest.live * BYTES[dtype] + self.image

    @property
    def held_at_peak(self):
        """Share of the feature maps at the highest moment that waits for a later operation."""
        return self.highest.held / self.highest.live

    @property
    def held(self):
        """Share of all feature maps, summed over the operations, that waits for a later one."""
        return sum(moment.held for moment in self.moments) / sum(moment.live for moment in self.moments)


def cost(model):
    """Counts what a network costs.

    Rules, which are LiteRT's reference kernels': operations run in the order of the model; what an operation
    reads and writes is in memory together; BatchNorm, activations and sums are written over what they read if
    no other operation needs that; dropout, flattening and reshaping take nothing; the image stays. Other
    runtimes need room beside that to compute in.

    Args:
      model: a built functional or sequential `keras.Model` with one input of known size.

    Returns:
      A `Cost`.

    Raises:
      ValueError: for a model without a graph, of open sizes, or with a layer that is called more than once.
    """
    plan = list_operations(model)
    (shape,) = (tuple(tensor.shape[1:]) for tensor in model.inputs)
    return Cost(
        parameters=parameters(model),
        multiply_adds=sum(multiply_adds(step) for step in plan),
        image=math.prod(shape),
        moments=tuple(liveness(plan)),
    )


def parameters(model):
    """Numbers that training finds, whether or not they are frozen now; statistics of BatchNorm are none."""
    return sum(
        math.prod(weight.shape)
        for weight in model.weights
        if not weight.path.endswith(("moving_mean", "moving_variance"))
    )


def multiply_adds(step):
    """Multiplications, each with an addition, of a convolution or dense layer; 0 of others.

    Every weight of a kernel meets every position of the output once; of a transposed convolution, of the
    input.
    """
    layer = step.layer
    if isinstance(layer, _CONVOLUTIONS):
        return math.prod(layer.kernel.shape) * math.prod(_positions(layer, step.shape))
    if isinstance(layer, keras.layers.Dense):
        return math.prod(layer.kernel.shape) * math.prod(step.shape[:-1])
    return 0


def _positions(layer, shape):
    return shape[:-1] if layer.data_format == "channels_last" else shape[1:]


def list_operations(model):
    """The operations of a network in order, models inside it opened; see `cost` for arguments and errors."""
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
            found.append(Op(names[name], layer, reads, names[name], shapes[name]))
    return [names[name] for name in _names(config["output_layers"])]


def _shape(tensor):
    return tuple(tensor.shape[1:])


def _shapes(node):
    """`{operation: shape}` of all tensors that a functional model's configuration mentions."""
    if isinstance(node, dict) and "keras_history" in node:
        return {node["keras_history"][0]: tuple(node["shape"][1:])}
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return {name: shape for part in parts for name, shape in _shapes(part).items()}


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


def liveness(plan):
    """What lies in memory at each operation: a list of `Moment`, in order.

    Args:
      plan: `Step`s in the order in which they run, the last one's output being the result.

    Returns:
      One `Moment` for each operation that is not written over what it reads; see `cost` for the rules.
    """
    last_read = {name: place for place, step in enumerate(plan) for name in step.reads}
    last_read[plan[-1].writes] = len(plan)
    home, maps = {IMAGE: IMAGE}, {}
    for place, step in enumerate(plan):
        until = last_read.get(step.writes, place)
        taken = _taken(step, [maps.get(home[name]) for name in step.reads], place)
        home[step.writes] = taken.name if taken else step.writes
        if taken:
            maps[taken.name] = dataclasses.replace(taken, until=max(taken.until, until))
        else:
            reads = tuple(home[name] for name in step.reads)
            maps[step.writes] = _Map(step.writes, step.elements, place, until, reads)
    return _moments(list(maps.values()))


@dataclasses.dataclass(frozen=True)
class _Map:
    """A place in memory: from the step that makes it, out of others, to the last that reads it."""

    name: str
    elements: int
    since: int
    until: int
    reads: tuple


def _taken(step, read, place):
    """The map to whose place an operation writes, of those that it reads; None if it needs a new one."""
    for each in read:
        if each is None or each.elements != step.elements:
            continue  # the image, or a sum that stretches what it reads
        if isinstance(step.layer, _VIEWS) or (isinstance(step.layer, _IN_PLACE) and each.until == place):
            return each
    return None


def _moments(maps):
    found = []
    for new in maps:
        live = {each.name: each.elements for each in maps if each.since <= new.since <= each.until}
        used = sum(live.get(name, 0) for name in {new.name, *new.reads})
        found.append(MemoryStep(new.name, used, sum(live.values()) - used))
    return found
