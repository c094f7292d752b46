"""The curvature at one network in numbers, each stored as soon as it is measured."""

import functools

import numpy as np

from keras_kd.analysis.landscape import curvature, directions
from keras_kd.analysis.landscape.results import HessianSurface, StepNumbers
from keras_kd.utils.files import plain_values

EIGENVALUES = ("smallest", "largest")

STEP = ("loss", "cosine", "distance", "change")


class NetworkCurvature:
    """The Hessian at a network and over the plane around it, and a step against the gradient.

    Args:
      label: of the network.
      loss_surface: a `surface.LossSurface` of it, with its statistics kept.
      plane: the `directions.Subspace` around it, whose origin it is.
      direction: `direction(number)`, the random direction of this number, from 0: the axes of the plane are
        the first two.
      config: a `LandscapeConfig`.
      evaluate: `evaluate(title, measure, points, identity, measures, chunk)`, the stored evaluation.
      on_product: is called before each product with a Hessian, which may end the work.
    """

    def __init__(self, label, loss_surface, plane, direction, config, evaluate, on_product):
        self._label = label
        self._surface = loss_surface
        self._plane = plane
        self._direction = direction
        self._config = config
        self._evaluate = evaluate
        self._on_product = on_product
        self._loss = curvature.FlatLoss(loss_surface, plane.origin)

    def measure(self):
        """`{field: plain value}` of `results.NetworkNumbers`."""
        spectrum, trace, step = self._spectrum(), self._trace(), self._step()
        hessian = self._hessian() if self._config.hessian_steps else None
        curvatures = self._curvatures()
        numbers = {
            "curvature": curvatures.mean(),
            "curvatures": curvatures,
            "largest_eigenvalue": spectrum[0],
            "spectrum": spectrum,
            "trace": trace.value,
            "trace_error": trace.standard_error,
            "smoothness": step.smoothness,
        }
        steps = (step.sizes, step.losses, step.cosines, step.distances, step.changes)
        return plain_values(numbers) | {
            "step": StepNumbers(*plain_values(steps)),
            "hessian": hessian,
            "hessian_ratio": hessian and hessian.ratio,
            "hessian_holes": hessian and hessian.holes,
        }

    def _at_network(self, title, measure, points, measures):
        seed = {"seed": self._config.seed, "trainable": self._loss.size}
        identity = self._surface.identity(directions.Subspace(self._plane.origin, ())) | seed
        grid = self._evaluate(f"{title} at {self._label}", measure, points, identity, measures, chunk=1)
        return grid.values

    def _product(self, loss, vector):
        self._on_product()
        return loss.product(vector)

    def _spectrum(self):
        count = min(self._config.eigenvalues, self._loss.size)
        product = functools.partial(self._product, self._loss)

        def measure(_):
            return [curvature.largest_eigenvalues(product, self._loss.size, count, seed=self._config.seed)]

        ranks = [f"eigenvalue {rank}" for rank in range(1, count + 1)]
        return self._at_network("spectrum", measure, [[0]], ranks)[0]

    def _trace(self):
        product = functools.partial(self._product, self._loss)

        def measure(numbers):
            seeds = [[self._config.seed, int(number)] for (number,) in numbers]
            return [[curvature.trace_sample(product, self._loss.size, seed=seed)] for seed in seeds]

        numbers = np.arange(self._config.trace_samples)[:, None]
        return curvature.trace_of_samples(self._at_network("trace", measure, numbers, ["sample"])[:, 0])

    def _curvatures(self):
        """The second derivative of the loss along random directions, `[trace_samples]`."""
        loss = self._loss

        def measure(numbers):
            steps = [loss.flat(self._direction(int(number))) for (number,) in numbers]
            return [[step @ self._product(loss, step)] for step in steps]

        numbers = np.arange(self._config.trace_samples)[:, None]
        measures = ["of filters and vectors" if self._config.vectors else "of filters"]
        return self._at_network("curvature along directions", measure, numbers, measures)[:, 0]

    def _step(self):
        loss = self._loss

        def measure(sizes):
            step = curvature.gradient_predictiveness(loss.value_and_gradient, loss.origin, sizes[:, 0])
            return np.stack([step.losses, step.cosines, step.distances, step.changes], axis=1)

        sizes = np.array(self._config.step_sizes)
        return curvature.GradientStep(sizes, *self._at_network("step", measure, sizes[:, None], STEP).T)

    def _hessian(self):
        """The Hessian's extreme eigenvalues at some points of the plane around the network."""
        config, steps = self._config, self._config.hessian_steps
        ticks = np.zeros(1) if steps == 1 else directions.centred_ticks(steps, config.span)

        def extremes(place):
            loss = curvature.FlatLoss(self._surface, self._plane.at(place))
            product = functools.partial(self._product, loss)
            return curvature.extreme_eigenvalues(product, loss.size, seed=config.seed)

        identity = self._surface.identity(self._plane) | {"seed": config.seed}
        points = directions.grid(ticks, ticks)
        title = f"Hessian around {self._label}"
        grid = self._evaluate(title, lambda p: list(map(extremes, p)), points, identity, EIGENVALUES, chunk=1)
        smallest, largest = grid.values.T
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.abs(smallest / largest)
        ratios = ratios[np.isfinite(ratios)]
        ratio = float(np.median(ratios)) if len(ratios) else None
        return HessianSurface(*plain_values([ticks, smallest, largest]), ratio, len(smallest) - len(ratios))
