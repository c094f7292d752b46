"""What a network costs to run: parameters, multiply-adds, and the memory that its feature maps hold.

    card = cost(model)
    card.multiply_adds, card.peak("float32"), card.peak("uint8")
    [moment.retained for moment in card.moments]  # what shortcuts keep in memory, step by step

All is computed from the graph, for one image; nothing runs.
"""

import dataclasses
import math

import keras

from keras_kd.models import multiply_adds, weights
from keras_kd.models.operations import IMAGE, list_operations

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


@dataclasses.dataclass(frozen=True)
class MemoryStep:
    """What lies in memory while one operation runs, in numbers (not bytes).

    Attributes:
      name: of the layer.
      used: in what it reads and writes.
      retained: in all else, which waits for a later operation: what shortcuts keep. 0 in a chain.
    """

    name: str
    used: int
    retained: int

    @property
    def live(self):
        return self.used + self.retained


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one image costs.

    Attributes:
      parameters, statistics: numbers that training finds, and others; see `weights.count_parameters`.
      multiply_adds: of convolutions, products of matrices, attention and recurrent layers; what works on each
        number alone (activations, normalisation, sums, pooling) has none.
      not_counted: names of operations that have some, or may have, and whose number is not known:
        multiply_adds is without them.
      image: numbers in the input, which the runtime keeps, as raw bytes, as long as it runs; in no moment.
      moments: a `MemoryStep` for each operation that takes memory, in the order of the model.
    """

    parameters: int
    statistics: int
    multiply_adds: int
    not_counted: tuple
    image: int
    moments: tuple

    @property
    def highest(self):
        """The first `MemoryStep` of the highest memory."""
        return max(self.moments, key=lambda moment: moment.live)

    def peak(self, dtype):
        """Bytes at the highest moment: feature maps of a dtype of `BYTES`, and the image, a byte a number."""
        return self.highest.live * BYTES[dtype] + self.image

    @property
    def retained_at_peak(self):
        """Share of the feature maps at the highest moment that waits for a later operation."""
        return self.highest.retained / self.highest.live

    @property
    def retained(self):
        """Share of all feature maps, summed over the operations, that waits for a later one."""
        return sum(moment.retained for moment in self.moments) / sum(moment.live for moment in self.moments)


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
      ValueError: for a model without a graph, or of open sizes.
    """
    plan = list_operations(model)
    (shape,) = (tuple(tensor.shape[1:]) for tensor in model.inputs)
    counts = {step.name: multiply_adds.count(step) for step in plan}
    return Cost(
        parameters=weights.count_parameters(model),
        statistics=weights.count_parameters(model, trained=False),
        multiply_adds=sum(count or 0 for count in counts.values()),
        not_counted=tuple(f"{step.name} ({step.kind})" for step in plan if counts[step.name] is None),
        image=math.prod(shape),
        moments=tuple(liveness(plan)),
    )


def liveness(plan):
    """What lies in memory at each operation: a list of `MemoryStep`, in order.

    Args:
      plan: `operations.Operation`s in the order in which they run, the last one's output being the result.

    Returns:
      One `MemoryStep` for each operation that is not written over what it reads; see `cost` for the rules.
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
