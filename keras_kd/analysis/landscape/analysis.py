"""The landscape around networks that belong together: planes, lines, and the numbers that sum them up.

result = analyze({"residual": a, "plain": b}, images, labels, LandscapeConfig(), "runs/x/landscape")

`directions` says where, `surface` how high, `evaluation` stores it, `curvature` and `geometry` sum it up.
"""

import dataclasses
import functools
import itertools
import pathlib
import re

import numpy as np

from keras_kd.analysis.landscape import directions, evaluation, geometry, surface, twins
from keras_kd.analysis.landscape.numbers import NetworkCurvature
from keras_kd.analysis.landscape.results import LandscapeResult, LossLine, NetworkNumbers, PlaneSurface
from keras_kd.analysis.landscape.trainings import curvature_of_snapshots
from keras_kd.models import weights
from keras_kd.utils import limits, progress
from keras_kd.utils.files import plain_values


@dataclasses.dataclass(frozen=True)
class LandscapeConfig:
    """What is measured of a landscape.

    Attributes:
      steps: points along each axis of a plane, odd; and of a line.
      span: how far planes reach from a network, in its own filters' norms.
      batch_norm: of those planes: "keep" or "estimate" (see `surface.LossSurface`). Between networks and
        along a training it is always estimated; barriers are given both ways.
      vectors: whether directions move biases and BatchNorm's scales too.
      hessian_steps: points along each axis at which the Hessian's extreme eigenvalues are sought, odd; 0:
        none.
      eigenvalues: how many of the largest at the network itself, or all if it has fewer.
      trace_samples: products for the Hessian's trace, and random directions along which the loss's curvature
        is measured.
      step_sizes: of the step along which gradients are compared.
      snapshots: most of each training at which the Hessian's largest eigenvalue is sought; 0: none.
      seed: of directions and random vectors.

    Raises:
      ValueError: for an even number of steps, no span, or too few eigenvalues, samples or step sizes.
    """

    steps: int = 21
    span: float = 1.0
    batch_norm: str = "keep"
    vectors: bool = False
    hessian_steps: int = 3
    eigenvalues: int = 5
    trace_samples: int = 20
    step_sizes: tuple = (0.001, 0.003, 0.01, 0.03, 0.1)
    snapshots: int = 10
    seed: int = 0

    def __post_init__(self):
        directions.centred_ticks(self.steps, self.span)
        limits.check_choice("batch_norm", self.batch_norm, surface.BATCH_NORM)
        if not self.step_sizes:
            raise ValueError(f"there must be one of step_sizes at least. Received: {self.step_sizes}")
        for size in self.step_sizes:
            limits.LEARNING_RATE.check("step_sizes", size)
        for name, allowed in RANGES.items():
            allowed.check(name, getattr(self, name))
        if self.hessian_steps and self.hessian_steps % 2 == 0:
            raise ValueError(
                f"hessian_steps must be odd, so that the centre is sampled, or 0. Received: "
                f"{self.hessian_steps}"
            )


RANGES = {
    "hessian_steps": limits.HESSIAN_STEPS,
    "eigenvalues": limits.EIGENVALUES,
    "trace_samples": limits.TRACE_SAMPLES,
    "snapshots": limits.SNAPSHOTS,
    "seed": limits.SEED_OF_DRAWS,
}


def analyze(
    networks,
    images,
    labels,
    config,
    folder,
    *,
    training_images=None,
    trainings=None,
    on_progress=progress.no_titled_progress,
):
    """Measures the landscape around and between networks.

    Args:
      networks: `{label: keras.Model}`, on the same inputs. Twins, whose weights have the same names and
        shapes, get lines of their own, and a plane through three of them: the last three if there are more.
      images, labels, training_images: the examples, and what estimated statistics are of, as for
        `surface.LossSurface`.
      config: a `LandscapeConfig`.
      folder: for the `.npz` files of all values; what is there already is not measured again.
      trainings: `{label: trainings.Training}` of those that kept snapshots. The plane of a trajectory is that
        of what would be left of a network; its curvature is that of the network as it was in training.
      on_progress: is called with what is being measured, the points done and their number; what it raises
        ends the work, with nothing lost but what was under way.

    Returns:
      A `LandscapeResult`.

    Raises:
      IdentityMismatchError: for a folder with values of other networks, examples or settings.
    """
    data = (images, labels, training_images)
    analysis = _Analysis(networks, data, config, pathlib.Path(folder), on_progress)
    around, numbers = [], []
    for label in networks:
        around.append(analysis.plane_around(label))
        numbers.append(analysis.numbers(label, around[-1]))
    trainings = trainings or {}
    planes = [*around, *analysis.planes_through(), *analysis.planes_of(trainings)]
    lines = analysis.lines()
    return LandscapeResult(planes, lines, numbers, analysis.left_out, analysis.trainings(trainings))


class _Analysis:
    def __init__(self, networks, data, config, folder, on_progress):
        self._networks = networks
        self._points = {label: weights.weights_of(network) for label, network in networks.items()}
        self._data = data
        self._config = config
        self._folder = folder
        self._on_progress = on_progress
        self._surfaces = {}
        self._names = _FileNames()
        self.left_out = [*self._apart()]

    def _surface(self, label, batch_norm):
        """One for all networks of a kind, so that nothing is compiled twice."""
        network = self._networks[label]
        key = (weights.structure(network), tuple(self._points[label]), batch_norm)
        if key not in self._surfaces:
            images, labels, training_images = self._data
            self._surfaces[key] = surface.LossSurface(
                network, images, labels, batch_norm=batch_norm, training_images=training_images
            )
        return self._surfaces[key]

    # ---- planes

    def plane_around(self, label):
        """The plane around a network, along the same directions for all."""
        ticks = [directions.centred_ticks(self._config.steps, self._config.span)] * 2
        plane = self._random_plane(label)
        return self._plane("around", f"around {label}", label, plane, ticks, self._config.batch_norm)

    def _random_plane(self, label):
        """The random plane around a network."""
        return directions.random_plane(self._points[label], **self._draw(label))

    def _random_direction(self, label, number):
        """One of the random directions from a network; the first two span its plane."""
        return directions.random_direction(self._points[label], number, **self._draw(label))

    def _draw(self, label):
        outputs = directions.output_axes(self._networks[label])
        return {"seed": self._config.seed, "vectors": self._config.vectors, "outputs": outputs}

    def planes_through(self):
        """The plane through three twins, once for each kind of network that reads it."""
        for labels in twins.twins_of(self._points):
            if len(labels) < 3:
                continue
            others, labels = labels[:-3], labels[-3:]
            title = twins.plane_title(labels)
            if others:
                self.left_out.append(f"{', '.join(others)}: not in the plane {title}, which three span")
            try:
                plane = directions.plane_through(*(self._points[label] for label in labels), names=labels)
            except directions.FlatError as error:
                self.left_out.append(f"the plane {title}: {error.reason}")
                continue
            ticks = self._ticks(plane.marks.values())
            for reader in self._kinds(labels):
                yield self._plane("through", f"{title}, as {reader}", reader, plane, ticks, "estimate")

    def planes_of(self, trainings):
        """The plane in which each network moved most."""
        for label, training in trainings.items():
            title = f"the trajectory of {label}"
            try:
                plane = directions.trajectory_plane(list(training.snapshots.values()))
            except directions.FlatError as error:
                self.left_out.append(f"{title}: {error.reason}")
                continue
            ticks = self._ticks(plane.path)
            yield self._plane("trajectory", title, label, plane, ticks, "estimate", f"the way of {label}")

    def _ticks(self, places):
        return [directions.ticks_around(values, self._config.steps) for values in zip(*places, strict=True)]

    def _plane(self, kind, title, reader, plane, ticks, batch_norm, file=None):
        loss_surface = self._surface(reader, batch_norm)
        measure, identity = loss_surface.along(plane), loss_surface.identity(plane)
        values = self._evaluate(title, measure, directions.grid(*ticks), identity, file=file).values
        shape = tuple(map(len, ticks))
        grids = {name: values[:, place].reshape(shape) for place, name in enumerate(surface.MEASURES)}
        rough = geometry.roughness(grids["loss"], ticks)
        return PlaneSurface(
            kind=kind,
            title=title,
            reader=reader,
            batch_norm=batch_norm,
            examples=loss_surface.examples,
            roughness=geometry.Roughness(**plain_values(rough)),
            **plain_values(
                {
                    "ticks": ticks,
                    **grids,
                    "marks": plane.marks,
                    "trajectory": plane.path,
                    "explained": plane.explained,
                }
            ),
        )

    def _evaluate(
        self, title, measure, points, identity, measures=surface.MEASURES, chunk=surface.CHUNK, file=None
    ):
        """Values at points, in a file that is named after the title where no other name is given."""
        path = self._folder / f"{self._names.of(file or title)}.npz"
        grid = evaluation.GridEvaluation(path, measure, points, identity, measures)
        self._show_progress = lambda: self._on_progress(title, grid.done, len(grid.points))
        grid.run(lambda done, total: self._on_progress(title, done, total), chunk=chunk)
        return grid

    # ---- lines

    def lines(self):
        """The line between every two twins of one kind, statistics of BatchNorm mixed and estimated."""
        fractions = np.linspace(0.0, 1.0, self._config.steps)
        return [self._line(pair, fractions) for pair in twins.lines_of(self._networks, self._points)]

    def _line(self, pair, fractions):
        line = directions.line_between(*(self._points[label] for label in pair), pair)
        grids = {}
        for batch_norm in surface.BATCH_NORM:
            loss_surface = self._surface(pair[0], batch_norm)
            title = f"between {pair[0]} and {pair[1]}, BatchNorm {batch_norm}"
            measure, identity = loss_surface.along(line), loss_surface.identity(line)
            grids[batch_norm] = self._evaluate(title, measure, fractions[:, None], identity)
        losses = {batch_norm: grid.values[:, 0] for batch_norm, grid in grids.items()}
        barriers = {key: geometry.barrier(values, fractions) for key, values in losses.items()}
        return LossLine(
            between=list(pair),
            fractions=plain_values(fractions),
            loss=plain_values(losses),
            barrier=plain_values(barriers),
            holes={batch_norm: grid.holes for batch_norm, grid in grids.items()},
        )

    def _apart(self):
        """Says which networks no line or plane joins, and why."""
        (first, *_), *others = twins.twins_of(self._points)
        for other, *_ in others:
            yield f"lines and planes between {first} and {other}: {self._difference(first, other)}"
        for labels in twins.twins_of(self._points):
            for one, other in itertools.pairwise(self._kinds(labels)):
                yield (
                    f"the line between {one} and {other}: with the same weights they compute differently, so "
                    f"a point on it has two losses"
                )

    def _difference(self, one, other):
        """In what the weights of two networks differ, in words."""
        one, other = self._points[one], self._points[other]
        strangers = sorted(one.keys() ^ other.keys())
        if strangers:
            return f"their weights are not the same ({len(strangers)} belong to one alone, as {strangers[0]})"
        names = [name for name in one if one[name].shape != other[name].shape]
        return f"their weights are not of the same shapes ({len(names)} differ, as {names[0]})"

    def _kinds(self, labels):
        return twins.kinds_of(self._networks, labels)

    # ---- numbers

    def numbers(self, label, plane):
        """What sums up the landscape around one network."""
        loss_surface, point = self._surface(label, "keep"), self._points[label]
        loss, accuracy, error = plain_values(loss_surface.at(point))
        found = NetworkNumbers(
            label=label,
            examples=loss_surface.examples,
            loss=loss,
            accuracy=accuracy,
            standard_error=error,
            plane_ratio=plane.roughness.ratio,
            not_convex=plane.roughness.not_convex,
            holes=plane.roughness.holes,
        )
        if not self._networks[label].trainable_weights:
            self.left_out.append(f"the curvature at {label}: all of its weights are frozen (trainable=False)")
            return found
        measures = NetworkCurvature(
            label,
            loss_surface,
            self._random_plane(label),
            functools.partial(self._random_direction, label),
            self._config,
            self._evaluate,
            self._on_product,
        )
        return dataclasses.replace(found, **measures.measure())

    def _on_product(self):
        self._show_progress()  # of the evaluation under way

    def trainings(self, trainings):
        """The curvature on the way of each network."""
        how = (self._data, self._config, self._evaluate, self._on_product)
        return [
            curvature_of_snapshots(label, training, *how)
            for label, training in trainings.items()
            if training.snapshots and self._config.snapshots
        ]


class _FileNames:
    """Names of letters, digits and dashes for titles; of two that come to the same the later is numbered."""

    def __init__(self):
        self._titles = {}

    def of(self, title):
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        titles = self._titles.setdefault(name, [])
        if title not in titles:
            titles.append(title)
        place = titles.index(title)
        return f"{name}-{place + 1}" if place else name
