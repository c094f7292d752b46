"""The landscape around networks that belong together: every survey, and the numbers that sum it up.

found = look({"residual": a, "plain": b, "plain + KD": c}, images, labels, Options(), "runs/x/landscape")

Nothing here is new: `subspaces` says where, `landscape` how high, `surveys` keeps it, `curvature` sums it up.
"""

import dataclasses
import itertools
import pathlib
import re

import numpy as np

from keras_kd import checkpoints, curvature, landscape, storage, subspaces, surveys, taps

EIGENVALUES = ("smallest", "largest")


@dataclasses.dataclass(frozen=True)
class Options:
    """What to look at.

    Attributes:
      steps: points along each axis of a plane, odd; and of a line.
      span: how far planes reach from a network, in its own filters' norms.
      batch_norm: of those planes: "keep" or "estimate" (see `landscape.Height`). Between networks and along a
        training it is always estimated; barriers are told both ways.
      vectors: whether directions move biases and BatchNorm's scales too.
      hessian_steps: points along each axis at which the Hessian's extreme eigenvalues are sought, odd; 0:
        none.
      eigenvalues: how many of the largest at the network itself.
      trace_samples: products for the Hessian's trace.
      step_sizes: of the step along which gradients are compared.
      seed: of directions and random vectors.

    Raises:
      ValueError: for an even number of steps, or no span.
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
        subspaces.centred_ticks(self.steps, self.span)
        if self.hessian_steps not in (0, 1):
            subspaces.centred_ticks(self.hessian_steps, self.span)


def look(networks, images, labels, options, folder, *, ways=None, watch=lambda title, done, total: None):
    """Surveys the landscape around and between networks.

    Args:
      networks: `{label: keras.Model}`, on the same inputs. Twins, whose weights have the same names and
        shapes, get planes and lines of their own.
      images, labels: the examples, as for `landscape.Height`.
      options: an `Options`.
      folder: for the surveys' `.npz` files; what is there already is not measured again.
      ways: `{label: [points]}`, snapshots of a network's training.
      watch: is called with what is being surveyed, the points done and their number.

    Returns:
      `{"networks": [...], "planes": [...], "lines": [...]}`, plain values with None for what is not finite.
    """
    surveyor = _Surveyor(networks, images, labels, options, pathlib.Path(folder), watch)
    found = {
        "planes": [*surveyor.around(), *surveyor.through(), *surveyor.along(ways or {})],
        "lines": surveyor.between(),
        "networks": [],
    }
    for label, plane in zip(networks, found["planes"], strict=False):
        found["networks"].append(surveyor.numbers(label, plane))
    return storage.plain_values(found)


class _Surveyor:
    def __init__(self, networks, images, labels, options, folder, watch):
        self._networks = networks
        self._points = {label: taps.weights_of(network) for label, network in networks.items()}
        self._examples = (images, labels)
        self._options = options
        self._folder = folder
        self._watch = watch
        self._heights = {}

    def _height(self, label, batch_norm):
        """One for all networks of a kind, so that nothing is compiled twice."""
        network = self._networks[label]
        key = (checkpoints.structure(network), tuple(self._points[label]), batch_norm)
        if key not in self._heights:
            self._heights[key] = landscape.Height(network, *self._examples, batch_norm=batch_norm)
        return self._heights[key]

    # ---- planes

    def around(self):
        """A plane around each network, along the same directions for all."""
        options = self._options
        ticks = [subspaces.centred_ticks(options.steps, options.span)] * 2
        for label, point in self._points.items():
            plane = subspaces.random_plane(point, seed=options.seed, vectors=options.vectors)
            yield self._plane("around", f"around {label}", label, plane, ticks, options.batch_norm)

    def through(self):
        """The plane through three twins, once for each kind of network that reads it."""
        for labels in self._twins():
            if len(labels) < 3:
                continue
            labels = labels[:3]
            plane = subspaces.plane_through(*(self._points[label] for label in labels), names=labels)
            ticks = self._ticks(plane.marks.values())
            for reader in self._kinds(labels):
                title = f"through {', '.join(labels)}, as {reader}"
                yield self._plane("through", title, reader, plane, ticks, "estimate")

    def along(self, ways):
        """The plane in which each network moved most."""
        for label, points in ways.items():
            plane = subspaces.trajectory_plane(points)
            title = f"the way of {label}"
            yield self._plane("way", title, label, plane, self._ticks(plane.path), "estimate")

    def _ticks(self, places):
        return [subspaces.ticks_around(values, self._options.steps) for values in zip(*places, strict=True)]

    def _plane(self, kind, title, reader, plane, ticks, batch_norm):
        height = self._height(reader, batch_norm)
        survey = self._survey(title, height.along(plane), subspaces.grid(*ticks), height.identity(plane))
        shape = tuple(map(len, ticks))
        grids = {
            name: survey.values[:, place].reshape(shape) for place, name in enumerate(landscape.MEASURES)
        }
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
            "roughness": dataclasses.asdict(curvature.roughness(grids["loss"], ticks)),
        }

    def _survey(self, title, measure, points, identity, measures=landscape.MEASURES, chunk=landscape.CHUNK):
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        survey = surveys.Survey(self._folder / f"{name}.npz", measure, points, identity, measures)
        survey.run(lambda done, total: self._watch(title, done, total), chunk=chunk)
        return survey

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
        line = subspaces.line_between(*(self._points[label] for label in pair), pair)
        found = {"between": list(pair), "fractions": fractions, "loss": {}, "barrier": {}}
        for batch_norm in landscape.BATCH_NORM:
            height = self._height(pair[0], batch_norm)
            title = f"between {pair[0]} and {pair[1]}, BatchNorm {batch_norm}"
            survey = self._survey(title, height.along(line), fractions[:, None], height.identity(line))
            found["loss"][batch_norm] = survey.values[:, 0]
            found["barrier"][batch_norm] = curvature.barrier(survey.values[:, 0], fractions)
        return found

    def _twins(self):
        """Lists of labels of networks whose weights have the same names and shapes."""
        found = {}
        for label, point in self._points.items():
            found.setdefault(tuple(sorted((p, w.shape) for p, w in point.items())), []).append(label)
        return list(found.values())

    def _kinds(self, labels):
        """The first label of each kind of network among some."""
        kinds = {}
        for label in labels:
            kinds.setdefault(checkpoints.structure(self._networks[label]), label)
        return list(kinds.values())

    # ---- numbers

    def numbers(self, label, plane):
        """What sums up the landscape around one network."""
        options = self._options
        height, point = self._height(label, "keep"), self._points[label]
        loss, accuracy, error = height.at(point)
        local = curvature.Local(height, point)
        self._watch(f"curvature at {label}", 0, 1)
        largest = curvature.largest_eigenvalues(
            local.product, local.size, options.eigenvalues, seed=options.seed
        )
        trace = curvature.trace(local.product, local.size, samples=options.trace_samples, seed=options.seed)
        step = curvature.gradient_predictiveness(local.value_and_gradient, local.origin, options.step_sizes)
        self._watch(f"curvature at {label}", 1, 1)
        hessian = self._hessian(label, local) if options.hessian_steps else None
        return {
            "label": label,
            "examples": height.examples,
            "loss": loss,
            "accuracy": accuracy,
            "standard_error": error,
            "plane_ratio": plane["roughness"]["ratio"],
            "not_convex": plane["roughness"]["not_convex"],
            "holes": plane["roughness"]["holes"],
            "largest_eigenvalue": largest[0],
            "spectrum": largest,
            "trace": trace.value,
            "trace_error": trace.standard_error,
            "smoothness": step.smoothness,
            "step": dataclasses.asdict(step),
            "hessian": hessian,
            "hessian_ratio": None if hessian is None else hessian["ratio"],
        }

    def _hessian(self, label, local):
        """The Hessian's extreme eigenvalues at some points of the plane around a network."""
        options = self._options
        plane = subspaces.random_plane(self._points[label], seed=options.seed, vectors=options.vectors)
        steps = options.hessian_steps
        ticks = np.zeros(1) if steps == 1 else subspaces.centred_ticks(steps, options.span)

        def measure(places):
            there = [local.flat(plane.at(place)) for place in places]
            return np.array([_extremes(local, at, options.seed) for at in there])

        identity = self._height(label, "keep").identity(plane) | {"seed": options.seed}
        title = f"Hessian around {label}"
        survey = self._survey(title, measure, subspaces.grid(ticks, ticks), identity, EIGENVALUES, chunk=1)
        smallest, largest = survey.values.T
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.abs(smallest / largest)
        ratios = ratios[np.isfinite(ratios)]
        ratio = float(np.median(ratios)) if len(ratios) else None
        holes = len(smallest) - len(ratios)
        return {"ticks": ticks, "smallest": smallest, "largest": largest, "ratio": ratio, "holes": holes}


def _extremes(local, at, seed):
    return curvature.extreme_eigenvalues(lambda vector: local.product(vector, at=at), local.size, seed=seed)
