"""The landscape around networks that belong together: every survey, and the numbers that sum it up.

found = look({"residual": a, "plain": b, "plain + KD": c}, images, labels, Options(), "runs/x/landscape")

Nothing here is new: `subspaces` says where, `landscape` how high, `surveys` keeps it, `curvature` sums it up.
"""

import dataclasses
import itertools
import pathlib
import re

import numpy as np

from keras_kd.analysis.landscape import curvature, directions, evaluation, geometry, surface
from keras_kd.models import weights
from keras_kd.utils import files, progress

EIGENVALUES = ("smallest", "largest")

STEP = ("loss", "cosine", "distance", "change")


@dataclasses.dataclass(frozen=True)
class LandscapeConfig:
    """What to look at.

    Attributes:
      steps: points along each axis of a plane, odd; and of a line.
      span: how far planes reach from a network, in its own filters' norms.
      batch_norm: of those planes: "keep" or "estimate" (see `surface.LossSurface`). Between networks and
        along a training it is always estimated; barriers are told both ways.
      vectors: whether directions move biases and BatchNorm's scales too.
      hessian_steps: points along each axis at which the Hessian's extreme eigenvalues are sought, odd; 0:
        none.
      eigenvalues: how many of the largest at the network itself, or all if it has fewer.
      trace_samples: products for the Hessian's trace.
      step_sizes: of the step along which gradients are compared.
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
    seed: int = 0

    def __post_init__(self):
        directions.centred_ticks(self.steps, self.span)
        if not self.step_sizes or min(self.step_sizes) <= 0:
            raise ValueError(f"step_sizes must be > 0, and one at least. Received: {self.step_sizes}")
        if self.hessian_steps and (self.hessian_steps < 0 or self.hessian_steps % 2 == 0):
            raise ValueError(
                f"hessian_steps must be odd, so that the centre is sampled, or 0. Received: "
                f"{self.hessian_steps}"
            )
        if self.eigenvalues < 1 or self.trace_samples < 2:
            raise ValueError(
                f"there must be at least 1 eigenvalue and 2 trace_samples. Received: "
                f"eigenvalues={self.eigenvalues}, trace_samples={self.trace_samples}"
            )


def analyze(
    networks,
    images,
    labels,
    options,
    folder,
    *,
    training_images=None,
    ways=None,
    on_progress=progress.no_titled_progress,
):
    """Surveys the landscape around and between networks.

    Args:
      networks: `{label: keras.Model}`, on the same inputs. Twins, whose weights have the same names and
        shapes, get lines of their own, and a plane through three of them: the last three if there are more.
      images, labels, training_images: the examples, and what estimated statistics are of, as for
        `surface.LossSurface`.
      options: an `Options`.
      folder: for the surveys' `.npz` files; what is there already is not measured again.
      ways: `{label: [points]}`, snapshots of a network's training.
      on_progress: is called with what is being surveyed, the points done and their number.

    Returns:
      `{"networks": [...], "planes": [...], "lines": [...], "left_out": [text]}`, plain values with None for
      what is not finite; `left_out` says what cannot be drawn, and why.
    """
    surveyor = _Analysis(
        networks, (images, labels, training_images), options, pathlib.Path(folder), on_progress
    )
    found = {
        "planes": [*surveyor.around(), *surveyor.through(), *surveyor.along(ways or {})],
        "lines": surveyor.between(),
        "networks": [],
        "left_out": surveyor.left_out,
    }
    for label, plane in zip(networks, found["planes"], strict=False):
        found["networks"].append(surveyor.numbers(label, plane))
    return files.plain_values(found)


class _Analysis:
    def __init__(self, networks, data, options, folder, on_progress):
        self._networks = networks
        self._points = {label: weights.weights_of(network) for label, network in networks.items()}
        self._data = data
        self._options = options
        self._folder = folder
        self._on_progress = on_progress
        self._heights = {}
        self.left_out = [*self._apart()]

    def _height(self, label, batch_norm):
        """One for all networks of a kind, so that nothing is compiled twice."""
        network = self._networks[label]
        key = (weights.structure(network), tuple(self._points[label]), batch_norm)
        if key not in self._heights:
            images, labels, training_images = self._data
            self._heights[key] = surface.LossSurface(
                network, images, labels, batch_norm=batch_norm, training_images=training_images
            )
        return self._heights[key]

    # ---- planes

    def around(self):
        """A plane around each network, along the same directions for all."""
        ticks = [directions.centred_ticks(self._options.steps, self._options.span)] * 2
        for label in self._points:
            yield self._plane(
                "around", f"around {label}", label, self._own(label), ticks, self._options.batch_norm
            )

    def _own(self, label):
        """The random plane around a network."""
        return directions.random_plane(
            self._points[label],
            seed=self._options.seed,
            vectors=self._options.vectors,
            outputs=directions.output_axes(self._networks[label]),
        )

    def through(self):
        """The plane through three twins, once for each kind of network that reads it."""
        for twins in self._twins():
            if len(twins) < 3:
                continue
            labels = twins[-3:]
            title = f"through {', '.join(labels)}"
            if twins[:-3]:
                self.left_out.append(f"{', '.join(twins[:-3])}: not in the plane {title}, which three span")
            try:
                plane = directions.plane_through(*(self._points[label] for label in labels), names=labels)
            except directions.FlatError as error:
                self.left_out.append(f"the plane {title}: {error}")
                continue
            ticks = self._ticks(plane.marks.values())
            for reader in self._kinds(labels):
                yield self._plane("through", f"{title}, as {reader}", reader, plane, ticks, "estimate")

    def along(self, ways):
        """The plane in which each network moved most."""
        for label, points in ways.items():
            title = f"the way of {label}"
            try:
                plane = directions.trajectory_plane(points)
            except directions.FlatError as error:
                self.left_out.append(f"{title}: {error}")
                continue
            yield self._plane("way", title, label, plane, self._ticks(plane.path), "estimate")

    def _ticks(self, places):
        return [directions.ticks_around(values, self._options.steps) for values in zip(*places, strict=True)]

    def _plane(self, kind, title, reader, plane, ticks, batch_norm):
        height = self._height(reader, batch_norm)
        survey = self._survey(title, height.along(plane), directions.grid(*ticks), height.identity(plane))
        shape = tuple(map(len, ticks))
        grids = {name: survey.values[:, place].reshape(shape) for place, name in enumerate(surface.MEASURES)}
        return {
            "kind": kind,
            "title": title,
            "reader": reader,
            "batch_norm": batch_norm,
            "examples": height.examples,
            "ticks": ticks,
            **grids,
            "marks": plane.marks,
            "way": plane.path,
            "explained": plane.explained,
            "roughness": dataclasses.asdict(geometry.roughness(grids["loss"], ticks)),
        }

    def _survey(self, title, measure, points, identity, measures=surface.MEASURES, chunk=surface.CHUNK):
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        survey = evaluation.GridEvaluation(self._folder / f"{name}.npz", measure, points, identity, measures)
        self._pulse = lambda: self._on_progress(title, survey.done, len(survey.points))
        survey.run(lambda done, total: self._on_progress(title, done, total), chunk=chunk)
        return survey

    def _product(self, local):
        """The products with a Hessian, between which a signal can end the work."""

        def product(vector):
            self._pulse()
            return local.product(vector)

        return product

    # ---- lines

    def between(self):
        """The line between every two twins of one kind, statistics of BatchNorm mixed and estimated."""
        fractions = np.linspace(0.0, 1.0, self._options.steps)
        return [
            self._line(pair, fractions)
            for labels in self._twins()
            for pair in itertools.combinations(labels, 2)
            if len(self._kinds(pair)) == 1
        ]

    def _line(self, pair, fractions):
        line = directions.line_between(*(self._points[label] for label in pair), pair)
        found = {"between": list(pair), "fractions": fractions, "loss": {}, "barrier": {}, "holes": {}}
        for batch_norm in surface.BATCH_NORM:
            height = self._height(pair[0], batch_norm)
            title = f"between {pair[0]} and {pair[1]}, BatchNorm {batch_norm}"
            survey = self._survey(title, height.along(line), fractions[:, None], height.identity(line))
            found["loss"][batch_norm] = survey.values[:, 0]
            found["barrier"][batch_norm] = geometry.barrier(survey.values[:, 0], fractions)
            found["holes"][batch_norm] = survey.holes
        return found

    def _twins(self):
        """Lists of labels of networks whose weights have the same names and shapes."""
        found = {}
        for label, point in self._points.items():
            found.setdefault(tuple(sorted((p, w.shape) for p, w in point.items())), []).append(label)
        return list(found.values())

    def _apart(self):
        """Says which networks no line or plane joins, and why."""
        (first, *_), *others = self._twins()
        for other, *_ in others:
            try:
                weights.check_same_weights(self._points[first], self._points[other], (first, other))
            except ValueError as error:
                yield f"lines and planes between {first} and {other}: {error}"
        for labels in self._twins():
            for one, other in itertools.pairwise(self._kinds(labels)):
                yield (
                    f"the line between {one} and {other}: with the same weights they compute differently, so "
                    f"a point on it has two losses"
                )

    def _kinds(self, labels):
        """The first label of each kind of network among some."""
        kinds = {}
        for label in labels:
            kinds.setdefault(weights.structure(self._networks[label]), label)
        return list(kinds.values())

    # ---- numbers

    def numbers(self, label, plane):
        """What sums up the landscape around one network."""
        height, point = self._height(label, "keep"), self._points[label]
        loss, accuracy, error = height.at(point)
        found = {
            "label": label,
            "examples": height.examples,
            "loss": loss,
            "accuracy": accuracy,
            "standard_error": error,
            "plane_ratio": plane["roughness"]["ratio"],
            "not_convex": plane["roughness"]["not_convex"],
            "holes": plane["roughness"]["holes"],
        }
        if not self._networks[label].trainable_weights:
            self.left_out.append(f"the curvature at {label}: all of its weights are frozen (trainable=False)")
            return found
        return found | self._curvature(label, height)

    def _curvature(self, label, height):
        """The Hessian at a network and over its plane, and a step against the gradient."""
        options = self._options
        local = curvature.FlatLoss(height, self._points[label])
        product = self._product(local)
        point = directions.Subspace(self._points[label], ())
        identity = height.identity(point) | {"seed": options.seed, "trainable": local.size}

        def survey(title, measure, points, measures):
            return self._survey(f"{title} at {label}", measure, points, identity, measures, chunk=1).values

        def spectrum(_):
            return [curvature.largest_eigenvalues(product, local.size, count, seed=seed)]

        def samples(numbers):
            return [
                [curvature.trace_sample(product, local.size, seed=[seed, int(number)])]
                for (number,) in numbers
            ]

        def step(sizes):
            found = curvature.gradient_predictiveness(local.value_and_gradient, local.origin, sizes[:, 0])
            return np.stack([found.losses, found.cosines, found.distances, found.changes], axis=1)

        seed = options.seed
        count = min(options.eigenvalues, local.size)
        ranks = [f"eigenvalue {rank}" for rank in range(1, count + 1)]
        (largest,) = survey("spectrum", spectrum, [[0]], ranks)
        numbers = np.arange(options.trace_samples)[:, None]
        trace = curvature.trace_of_samples(survey("trace", samples, numbers, ["sample"])[:, 0])
        sizes = np.array(options.step_sizes)
        steps = survey("step", step, sizes[:, None], STEP).T
        hessian = self._hessian(label, height) if options.hessian_steps else None
        return {
            "largest_eigenvalue": largest[0],
            "spectrum": largest,
            "trace": trace.value,
            "trace_error": trace.standard_error,
            "smoothness": np.max(steps[STEP.index("change")]),
            "step": {"size": sizes, **dict(zip(STEP, steps, strict=True))},
            "hessian": hessian,
            "hessian_ratio": None if hessian is None else hessian["ratio"],
            "hessian_holes": None if hessian is None else hessian["holes"],
        }

    def _hessian(self, label, height):
        """The Hessian's extreme eigenvalues at some points of the plane around a network."""
        options = self._options
        plane = self._own(label)
        steps = options.hessian_steps
        ticks = np.zeros(1) if steps == 1 else directions.centred_ticks(steps, options.span)

        def measure(places):
            there = [curvature.FlatLoss(height, plane.at(place)) for place in places]
            return [
                curvature.extreme_eigenvalues(self._product(at), at.size, seed=options.seed) for at in there
            ]

        identity = height.identity(plane) | {"seed": options.seed}
        title = f"Hessian around {label}"
        survey = self._survey(title, measure, directions.grid(ticks, ticks), identity, EIGENVALUES, chunk=1)
        smallest, largest = survey.values.T
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.abs(smallest / largest)
        ratios = ratios[np.isfinite(ratios)]
        ratio = float(np.median(ratios)) if len(ratios) else None
        holes = len(smallest) - len(ratios)
        return {"ticks": ticks, "smallest": smallest, "largest": largest, "ratio": ratio, "holes": holes}
