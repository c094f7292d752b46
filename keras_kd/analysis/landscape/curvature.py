"""How rough a loss surface is, in numbers: curvature of a plane, of the whole space, along a step.

local = FlatLoss(loss_surface, point)  # the loss around a network, in all of its weights
eigenvalues = largest_eigenvalues(local.product, local.size, count=5)
"""

import dataclasses

import numpy as np
import scipy.sparse.linalg
from keras import ops

# Rounding errors of float32 in a loss that do not count as curvature.
ROUNDINGS = 8


# Of a residual, relative to the eigenvalue; and how many products come before the first restart. The error of
# an eigenvalue is of about the square of that where others are far from it, and as large where they are near:
# 1e-2, which takes a third fewer products on ResNets, was 4 % off in spectra of many near eigenvalues.
_LANCZOS_TOLERANCE = 1e-3

_LANCZOS_VECTORS = 12


# After so many restarts, of about ten products each, there is no answer.
_LANCZOS_RESTARTS = 100


class FlatLoss:
    """The loss around a network as a function of one flat vector of its trainable weights.

    All others stay as they are: the statistics of BatchNorm, and weights of frozen layers.

    A network with ReLUs has no second derivative where one of them switches. The Hessian here is that of all
    other places, so almost everywhere: it does not see the kinks, though a surface bends there too.

    Args:
      loss_surface: a `surface.LossSurface`.
      point: the network, `{path: array}`, of the kind that `loss_surface` measures.

    Attributes:
      origin: float64 `[size]`, its trainable weights.
      size: their number; 0 of a network that is frozen, which has no Hessian.

    Raises:
      ValueError: from `value_and_gradient` and `product`, on a backend that is neither TensorFlow nor JAX.
    """

    def __init__(self, loss_surface, point):
        self._surface = loss_surface
        self._trainable, self._rest = (
            [np.asarray(point[weight.path], np.float32) for weight in weights]
            for weights in (loss_surface.model.trainable_weights, loss_surface.model.non_trainable_weights)
        )
        self._batches = list(zip(loss_surface.images, loss_surface.labels, strict=True))
        self.origin = _flat(self._trainable)
        self.size = len(self.origin)

    def value_and_gradient(self, vector):
        """The mean loss and its gradient, float64 `[size]`, at a vector of weights `[size]`."""
        weights = self._parts(vector)
        found = [self._surface.gradient(weights, self._rest, *batch) for batch in self._batches]
        return float(np.mean([float(value) for value, _ in found])), np.mean(
            [_flat(g) for _, g in found], axis=0
        )

    def product(self, vector):
        """The product of the Hessian at the network with a vector, both float64 `[size]`."""
        weights, vector = self._parts(self.origin), self._parts(vector)
        ask = self._surface.hessian_product
        found = [_flat(ask(weights, vector, self._rest, *batch)) for batch in self._batches]
        return np.mean(found, axis=0)

    def flat(self, direction):
        """A direction `{path: array}` as float64 `[size]`; weights that it lacks stay where they are."""
        parts = [
            np.ravel(direction.get(weight.path, np.zeros(weight.shape)))
            for weight in self._surface.model.trainable_weights
        ]
        return np.concatenate([np.zeros(0), *parts]).astype(np.float64)

    def _parts(self, vector):
        ends = np.cumsum([weight.size for weight in self._trainable])[:-1]
        parts = np.split(np.asarray(vector, np.float32), ends)
        return [
            ops.convert_to_tensor(part.reshape(weight.shape))
            for part, weight in zip(parts, self._trainable, strict=True)
        ]


def _flat(arrays):
    parts = [ops.convert_to_numpy(array).astype(np.float64).reshape(-1) for array in arrays]
    return np.concatenate([np.zeros(0), *parts])


def largest_eigenvalues(product, size, count=1, *, seed=0):
    """The algebraically largest eigenvalues of a symmetric matrix known by its products alone, falling.

    By the restarted Lanczos method (ARPACK), as in Li et al. 2018: like power iteration it needs products
    with the Hessian alone, but it tells close eigenvalues apart, and signs.

    Args:
      product: from float64 `[size]` to `[size]`.
      size: of the matrix.
      count: how many, fewer than `size`.
      seed: of the vector it begins with.

    Returns:
      float64 `[count]`, right to 1 % and mostly far better. Where that takes too long, as with a negative
      definite matrix whose largest eigenvalues are near 0, they are right to 1 % of the largest magnitude.
      NaN where products are not finite, or ARPACK did not come to that in its iterations.

    Raises:
      ValueError: if the matrix has fewer eigenvalues.
    """
    if count > size:
        raise ValueError(f"a matrix of size {size} has no {count} eigenvalues")
    found = _lanczos(product, size, count, "LA", seed)
    if np.isnan(found).any():
        found = _shifted_lanczos(product, size, count, "LA", seed)
    return found[::-1]


def extreme_eigenvalues(product, size, *, seed=0):
    """The smallest and the largest eigenvalue, `(smallest, largest)`.

    Both are right to 1 % of the larger in magnitude: one near 0 has no share to be right to, so they are
    sought after a shift away from 0. Arguments as for `largest_eigenvalues`; NaN where that has NaN.
    """
    smallest, largest = _shifted_lanczos(product, size, 2, "BE", seed)
    return float(smallest), float(largest)


def _shifted_lanczos(product, size, count, which, seed):
    """As `_lanczos`, right to a share of the largest magnitude: no eigenvalue is near 0 meanwhile."""
    (largest_magnitude,) = np.abs(_lanczos(product, size, 1, "LM", seed))
    shift = 2 * largest_magnitude
    if not shift:
        return np.zeros(count)
    return _lanczos(lambda vector: product(vector) + shift * vector, size, count, which, seed) - shift


def _lanczos(product, size, count, which, seed):
    start = np.random.default_rng(seed).standard_normal(size)
    first = product(start)
    if not np.isfinite(first).all():
        return np.full(count, np.nan)
    if not first.any():  # a matrix of zeros, with which ARPACK cannot begin
        return np.zeros(count)
    if size <= 2 * count:  # too small for ARPACK
        values = np.linalg.eigvalsh(np.stack([product(row) for row in np.eye(size)]))
        if which == "LM":
            return values[np.argsort(np.abs(values))[-count:]]
        return values[[0, -1]] if which == "BE" else values[-count:]
    matrix = scipy.sparse.linalg.LinearOperator((size, size), matvec=product, dtype=np.float64)
    try:
        values = scipy.sparse.linalg.eigsh(
            matrix,
            count,
            which=which,
            v0=start,
            ncv=min(size, max(_LANCZOS_VECTORS, 2 * count + 1)),
            tol=_LANCZOS_TOLERANCE,
            maxiter=_LANCZOS_RESTARTS,
            return_eigenvectors=False,
        )
    except scipy.sparse.linalg.ArpackError:
        return np.full(count, np.nan)
    return np.sort(values)


@dataclasses.dataclass(frozen=True)
class Trace:
    """An estimate of a trace and its standard error."""

    value: float
    standard_error: float


def trace(product, size, *, samples=30, seed=0):
    """The trace of a symmetric matrix known by its products alone.

    For notebooks: `analyze` stores each `trace_sample` and takes `trace_of_samples`.

    Args:
      product, size: as for `largest_eigenvalues`.
      samples: random sign vectors, two at least; each costs one product.
      seed: of these.

    Returns:
      A `Trace`.

    Source: Hutchinson 1990, doi:10.1080/03610919008812866.
    """
    if samples < 2:
        raise ValueError(f"samples must be at least 2, to tell the error. Received: samples={samples}")
    return trace_of_samples([trace_sample(product, size, seed=[seed, number]) for number in range(samples)])


def trace_sample(product, size, *, seed=0):
    """One value whose expectation is the trace: v'Hv for a vector v of random signs."""
    vector = np.random.default_rng(seed).choice([-1.0, 1.0], size)
    return float(vector @ product(vector))


def trace_of_samples(samples):
    """The `Trace` from two `trace_sample`s or more."""
    samples = np.asarray(samples, np.float64)
    return Trace(float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples))))


@dataclasses.dataclass(frozen=True)
class GradientStep:
    """What one meets along a step against the gradient; arrays hold a value per step size.

    Attributes:
      sizes: step sizes, as learning rates.
      losses: after the step, in nats.
      cosines: between the gradients before and after.
      distances: ||gradient before - gradient after||.
      changes: the distance per length of the step.
    """

    sizes: np.ndarray
    losses: np.ndarray
    cosines: np.ndarray
    distances: np.ndarray
    changes: np.ndarray

    @property
    def smoothness(self):
        """The largest change, the paper's "effective beta-smoothness".

        It is mostly that of the smallest step, which comes near ||H g|| / ||g||: what is found further away
        stands in `changes`.
        """
        return float(np.max(self.changes))


def gradient_predictiveness(value_and_gradient, origin, sizes):
    """How well the gradient tells what comes along a step against it.

    Args:
      value_and_gradient: from float64 `[size]` to the loss and its gradient `[size]`.
      origin: float64 `[size]`, where the step begins.
      sizes: step sizes > 0, as learning rates.

    Returns:
      A `GradientStep`.

    Source: Santurkar et al. 2018, arXiv:1805.11604, section 3.1 and figure 4.
    """
    sizes = np.asarray(sizes, np.float64)
    if not len(sizes) or (sizes <= 0).any():
        raise ValueError(f"step sizes must be > 0, and one at least. Received: {sizes.tolist()}")
    _, before = value_and_gradient(origin)
    losses, after = zip(*(value_and_gradient(origin - size * before) for size in sizes), strict=True)
    after = np.stack(after)
    length = np.linalg.norm(before)
    distances = np.linalg.norm(after - before, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = after @ before / (np.linalg.norm(after, axis=1) * length)
        changes = distances / (sizes * length)
    return GradientStep(sizes, np.array(losses), cosines, distances, changes)
