"""Where in weight space losses are measured: lines and planes through the weights of networks.

plane = random_plane(weights_of(model), seed=0, outputs=output_axes(model))
ticks = centred_ticks(steps=21, span=1.0)
points = grid(ticks, ticks)

A point is `{path: array}`, the weights of a network by name with the statistics of its BatchNorm, so twins
with and without shortcuts have their points in one space. Each point is origin + sum of coordinate times
axis: nothing is walked, so no error adds up. Statistics follow from the other weights and the data: no
direction is drawn for them, no distance counts them.
"""

import dataclasses
import itertools
import zlib

import keras
import numpy as np

from keras_kd.models import graph, weights
from keras_kd.models.weights import STATISTICS
from keras_kd.utils import limits
from keras_kd.utils.checks import is_whole

# Three points so near to one line, as a share of their distance, span no plane but rounding errors.
_FLAT = 1e-6


# Axes of a kernel that count output channels, where it is not the last one alone.
_DEPTHWISE, _TRANSPOSED = (-2, -1), (-2,)

_OUTPUTS = {
    keras.layers.DepthwiseConv1D: ("kernel", _DEPTHWISE),
    keras.layers.DepthwiseConv2D: ("kernel", _DEPTHWISE),
    keras.layers.SeparableConv1D: ("depthwise_kernel", _DEPTHWISE),
    keras.layers.SeparableConv2D: ("depthwise_kernel", _DEPTHWISE),
    keras.layers.Conv1DTranspose: ("kernel", _TRANSPOSED),
    keras.layers.Conv2DTranspose: ("kernel", _TRANSPOSED),
    keras.layers.Conv3DTranspose: ("kernel", _TRANSPOSED),
}


class FlatError(ValueError):
    """Points that span no plane, as they lie on one line or are too few.

    Attributes:
      reason: which of the two, in words for a page.
    """

    def __init__(self, message, reason):
        super().__init__(message)
        self.reason = reason


@dataclasses.dataclass(frozen=True)
class Subspace:
    """A line or a plane.

    Attributes:
      origin: `{path: array}`, the point whose coordinates are 0.
      axes: one or two directions `{path: array}`; a weight that a direction lacks stays.
      marks: `{label: coordinates}` of points to be seen again, such as networks.
      path: `[points, axes]`, the coordinates of a trajectory, or None.
      explained: the shares of that trajectory's variance along the axes, or None.
    """

    origin: dict
    axes: tuple
    marks: dict = dataclasses.field(default_factory=dict)
    path: np.ndarray | None = None
    explained: tuple | None = None

    def at(self, coordinates):
        """The point `{path: float32 array}` at some coordinates, one number per axis."""
        moved = {path: np.array(weight, np.float64) for path, weight in self.origin.items()}
        for coordinate, axis in zip(coordinates, self.axes, strict=True):
            for path, step in axis.items():
                moved[path] += coordinate * step
        return {path: weight.astype(np.float32) for path, weight in moved.items()}


def output_axes(model):
    """Which axes of a model's kernels count their output channels: what lies along the others is one filter.

    Args:
      model: a built `keras.Model`.

    Returns:
      `{path: axes}` of depthwise and transposed convolutions; of all other kernels it is the last axis. None
      in place of axes for what a `Normalization` has measured of the data, which is no weight to move.
    """
    found = {}
    for layer in graph.all_layers(model):
        if isinstance(layer, keras.layers.Normalization):
            found |= {weight.path: None for weight in layer.weights}
        for kind, (name, axes) in _OUTPUTS.items():
            if isinstance(layer, kind):
                found |= {weight.path: axes for weight in layer.weights if weight.name == name}
    return found


def random_directions(weights, count, *, seed=0, vectors=False, outputs=None):
    """Gaussian directions, each filter scaled to the norm of the network's own filter.

    What is drawn depends on a weight's name and shape and the seed alone: twins get the same directions, each
    scaled by its own filters.

    Args:
      weights: a point, `{path: array}`.
      count: how many.
      seed: of the draws.
      vectors: whether biases and BatchNorm's scales and offsets move too, each vector as one filter. They
        stay by default, as in the paper; BatchNorm's statistics always do.
      outputs: `output_axes` of the network; needed where it has depthwise or transposed convolutions, or
        layers that normalise its inputs.

    Returns:
      A tuple of directions, `{path: float32 array}`.

    Source: Li et al. 2018, arXiv:1712.09913, section 4.
    """
    how = {"seed": seed, "vectors": vectors, "outputs": outputs}
    return tuple(random_direction(weights, number, **how) for number in range(count))


def random_direction(weights, number, *, seed=0, vectors=False, outputs=None):
    """The one of this number, from 0, of `random_directions`; arguments as there."""
    axes = dict.fromkeys(weights, (-1,)) | (outputs or {})
    moving = {
        path: weight
        for path, weight in weights.items()
        if axes[path] and (weight.ndim >= 2 or (vectors and not path.endswith(STATISTICS)))
    }
    return {
        path: _filter_normalised(path, weight, axes[path], seed, number) for path, weight in moving.items()
    }


def _filter_normalised(path, weight, outputs, seed, number):
    draw = np.random.default_rng([seed, number, zlib.crc32(path.encode())]).standard_normal(weight.shape)
    return (draw * (_filter_norms(weight, outputs) / _filter_norms(draw, outputs))).astype(np.float32)


def _filter_norms(weight, outputs):
    """Of what makes one output channel; a vector is one filter."""
    outputs = {axis % weight.ndim for axis in outputs} if weight.ndim >= 2 else set()
    axes = tuple(axis for axis in range(weight.ndim) if axis not in outputs)
    return np.sqrt(np.sum(np.square(weight, dtype=np.float64), axis=axes, keepdims=True))


def random_plane(weights, **how):
    """The plane through a network along two filter-normalised directions; see `random_directions`."""
    axes = random_directions(weights, 2, **how)
    return Subspace(weights, axes, {"network": (0.0, 0.0)})


def line_between(first, second, names=("first", "second")):
    """The line from one network (coordinate 0) to another (1), statistics of BatchNorm included.

    Raises:
      ValueError: if they have different weights.
    """
    weights.check_same_weights(first, second, names)
    return Subspace(first, (_minus(second, first),), dict(zip(names, [(0.0,), (1.0,)], strict=True)))


def plane_through(first, second, third, names=("first", "second", "third")):
    """The plane that holds three networks; its axes are orthogonal and of length 1, the first is the origin.

    At each of the three the statistics of BatchNorm are its own, between them they are mixed as the weights
    are.

    Args:
      first, second, third: points of equal names and shapes.
      names: of the three, for the marks.

    Returns:
      A `Subspace` whose coordinates are Euclidean distances.

    Raises:
      ValueError: if they have different weights.
      FlatError: if they lie on one line, as do networks of which two are equal.

    Source: Garipov et al. 2018, arXiv:1802.10026, appendix A.1.
    """
    weights.check_same_weights(first, second, names[:2])
    weights.check_same_weights(first, third, names[::2])
    to_second, to_third = _minus(second, first), _minus(third, first)
    across = np.sqrt(_dot(to_second, to_second))
    u = _times(to_second, 1 / across if across else 0.0)
    along = _dot(to_third, u)
    rest = _minus(to_third, _times(u, along))
    height = np.sqrt(_dot(rest, rest))
    if not across or height <= _FLAT * np.hypot(along, height):
        raise FlatError(
            f"{', '.join(names)} lie on one line, which spans no plane: give three different networks",
            "they lie on one line, which spans no plane",
        )
    marks = dict(zip(names, [(0.0, 0.0), (float(across), 0.0), (float(along), float(height))], strict=True))
    return Subspace(first, (u, _times(rest, 1 / height)), marks)


def trajectory_plane(snapshots):
    """The plane in which a training moved most: the two main components of the way to its end.

    Args:
      snapshots: the points after some epochs, in order, four at least; the last is the origin.

    Returns:
      A `Subspace` whose coordinates are Euclidean distances, with the trajectory's `path` on it and the
      shares of variance that it `explained`.

    Raises:
      ValueError: for different weights.
      FlatError: for fewer than four snapshots, or a training that moved in one direction alone.

    Source: Li et al. 2018, arXiv:1712.09913, section 7.
    """
    if len(snapshots) < 4:
        raise FlatError(
            f"a trajectory needs at least 4 snapshots. Received: {len(snapshots)}",
            f"of it {len(snapshots)} snapshots were kept, and a plane takes 4",
        )
    end = snapshots[-1]
    for snapshot in snapshots[:-1]:
        weights.check_same_weights(snapshot, end, ("a snapshot", "the last one"))
    ways = [_minus(snapshot, end) for snapshot in snapshots[:-1]]
    gram = np.array([[_dot(one, other) for other in ways] for one in ways])
    centring = np.eye(len(ways)) - 1 / len(ways)
    values, vectors = np.linalg.eigh(centring @ gram @ centring)
    values, vectors = values[::-1][:2], vectors[:, ::-1][:, :2]
    total = np.trace(centring @ gram @ centring)
    if values[1] <= _FLAT**2 * total or not total:
        reason = "the snapshots lie on one line, which spans no plane"
        raise FlatError(f"{reason}: give more of them", reason)
    mixes = (centring @ vectors) / np.sqrt(values)
    axes = tuple(_without_statistics(_mix(ways, mix)) for mix in mixes.T)
    path = np.concatenate([gram @ mixes, [[0.0, 0.0]]])
    marks = {"start": tuple(path[0]), "end": (0.0, 0.0)}
    return Subspace(end, axes, marks, path, tuple(float(value) for value in values / total))


def _minus(one, other):
    return {path: value.astype(np.float64) - other[path] for path, value in one.items()}


def _times(direction, factor):
    return {path: factor * value for path, value in direction.items()}


def _mix(directions, factors):
    return {
        path: sum(f * direction[path] for f, direction in zip(factors, directions, strict=True))
        for path in directions[0]
    }


def _dot(one, other):
    return sum(
        float(np.vdot(value, other[path])) for path, value in one.items() if not path.endswith(STATISTICS)
    )


def _without_statistics(direction):
    return {path: value for path, value in direction.items() if not path.endswith(STATISTICS)}


def centred_ticks(steps, span):
    """`steps` coordinates from -span to span, the centre among them.

    Raises:
      ValueError: for an even number of steps, fewer than 3, or a span that is not positive.
    """
    if not is_whole(steps) or steps < 3 or steps % 2 == 0:
        raise ValueError(
            f"steps must be odd and at least 3, so that the centre is sampled. Received: {steps}"
        )
    limits.PLANE_STEPS.check("steps", steps)
    limits.SPAN.check("span", span)
    return np.linspace(-span, span, steps)


def ticks_around(values, steps, margin=0.25):
    """`steps` coordinates from the smallest value to the largest, and a share of that more on both sides."""
    if steps < 3:
        raise ValueError(f"steps must be at least 3. Received: {steps}")
    low, high = min(values), max(values)
    reach = margin * (high - low)
    return np.linspace(low - reach, high + reach, steps)


def grid(*ticks):
    """All points of a grid, `[points, axes]`, the last axis first to change."""
    return np.array(list(itertools.product(*ticks)), dtype=np.float64)
