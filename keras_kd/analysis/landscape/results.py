"""What `analyze` found about the loss landscape: planes, lines, numbers of each network."""

import dataclasses

from keras_kd.analysis.landscape.geometry import Roughness
from keras_kd.utils import records
from keras_kd.utils.records import field_values, json_values

# What planes and files of earlier versions call it.
_PLANE_NAMES = {"trajectory": "way"}
_PLANE_KINDS = {"trajectory": "way"}
_STEP_NAMES = {
    "sizes": "size",
    "losses": "loss",
    "cosines": "cosine",
    "distances": "distance",
    "changes": "change",
}


@dataclasses.dataclass(frozen=True)
class PlaneSurface:
    """Losses on a plane through weight space.

    Attributes:
      kind: "around" a network, "through" three, or of a "trajectory".
      title: in words.
      reader: label of the network that the points are read as.
      batch_norm: "keep" or "estimate".
      examples: how many the losses are of.
      ticks: coordinates along both axes, `[a]` and `[b]`.
      loss, accuracy, standard_error: `[a][b]`; losses in nats.
      marks: `{label: (a, b)}`, networks on the plane.
      trajectory: `[points][2]`, coordinates of a training's snapshots, or None.
      explained: shares of their variance along the axes, or None.
      roughness: a `Roughness`.
    """

    kind: str
    title: str
    reader: str
    batch_norm: str
    examples: int
    ticks: list
    loss: list
    accuracy: list
    standard_error: list
    marks: dict
    trajectory: list | None
    explained: list | None
    roughness: Roughness

    def to_json(self):
        values = json_values(self, _PLANE_NAMES) | {"roughness": json_values(self.roughness)}
        return values | {"kind": _PLANE_KINDS.get(self.kind, self.kind)}

    @classmethod
    def from_json(cls, values):
        found = field_values(cls, values, _PLANE_NAMES)
        kinds = {name: kind for kind, name in _PLANE_KINDS.items()}
        found["kind"] = kinds.get(found["kind"], found["kind"])
        found["roughness"] = records.from_json(Roughness, found["roughness"])
        return cls(**found)


@dataclasses.dataclass(frozen=True)
class LossLine:
    """Losses on the line between two networks, once for each treatment of BatchNorm's statistics.

    Attributes:
      between: the labels of both.
      fractions: `[n]`, 0 at the first and 1 at the second.
      loss: `{batch_norm: [n]}`, nats.
      barrier: `{batch_norm: nats}`, see `geometry.barrier`.
      holes: `{batch_norm: points whose loss is not finite}`.
    """

    between: list
    fractions: list
    loss: dict
    barrier: dict
    holes: dict


@dataclasses.dataclass(frozen=True)
class HessianSurface:
    """The Hessian's extreme eigenvalues over the plane around a network.

    Attributes:
      ticks: coordinates along each axis, `[n]`.
      smallest, largest: `[n * n]`.
      ratio: median of |smallest / largest| over the points; None where no point has one.
      holes: points without a ratio.
    """

    ticks: list
    smallest: list
    largest: list
    ratio: float | None
    holes: int


@dataclasses.dataclass(frozen=True)
class StepNumbers:
    """Along a step against the gradient, `[sizes]` each; see `curvature.GradientStep`."""

    sizes: list
    losses: list
    cosines: list
    distances: list
    changes: list

    def to_json(self):
        return json_values(self, _STEP_NAMES)

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values, _STEP_NAMES)


@dataclasses.dataclass(frozen=True)
class NetworkNumbers:
    """What sums up the landscape around one network.

    Attributes:
      label: of the network.
      examples: how many the numbers are of.
      loss, accuracy, standard_error: at the network; the error is that of the loss.
      plane_ratio, not_convex, holes: of the plane around it, see `geometry.Roughness`.
      spectrum: the Hessian's largest eigenvalues, falling; None, as all below, of a frozen network.
      largest_eigenvalue, trace, trace_error: of the Hessian; the last is the trace's standard error.
      smoothness: the largest change of the gradient along the step.
      step: `StepNumbers`.
      hessian: a `HessianSurface`, or None where none is asked for.
      hessian_ratio, hessian_holes: its numbers.
      curvatures: second derivatives of the loss along random filter-normalised directions, the first two of
        which span the plane, in nats per square of a filter's norm; None in results of earlier versions.
      curvature: their mean.
    """

    label: str
    examples: int
    loss: float | None
    accuracy: float | None
    standard_error: float | None
    plane_ratio: float | None
    not_convex: float | None
    holes: int
    largest_eigenvalue: float | None = None
    spectrum: list | None = None
    trace: float | None = None
    trace_error: float | None = None
    smoothness: float | None = None
    step: StepNumbers | None = None
    hessian: HessianSurface | None = None
    hessian_ratio: float | None = None
    hessian_holes: int | None = None
    curvature: float | None = None
    curvatures: list | None = None

    def to_json(self):
        values = json_values(self)
        if self.spectrum is None:
            return {name: value for name, value in values.items() if name not in _OF_CURVATURE}
        values["step"] = self.step.to_json()
        values["hessian"] = self.hessian and json_values(self.hessian)
        return values

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)


_OF_CURVATURE = {field.name for field in dataclasses.fields(NetworkNumbers) if field.default is None}


@dataclasses.dataclass(frozen=True)
class TrainingCurvature:
    """The loss and its curvature at the snapshots of a training, of the network as it was then.

    Attributes:
      label: of the network.
      epochs: `[snapshots]`, after how many epochs each was taken.
      loss, accuracy: `[snapshots]`; the loss in nats.
      largest_eigenvalue: `[snapshots]`, of the Hessian.
      examples: how many the numbers are of.
    """

    label: str
    epochs: list
    loss: list
    accuracy: list
    largest_eigenvalue: list
    examples: int


@dataclasses.dataclass(frozen=True)
class LandscapeResult:
    """What there is around and between networks.

    Attributes:
      planes: `PlaneSurface`s; the first are those around the networks, in their order.
      lines: `LossLine`s.
      networks: a `NetworkNumbers` of each.
      left_out: what cannot be drawn and why, in words.
      trainings: a `TrainingCurvature` of each that kept snapshots.
    """

    planes: list[PlaneSurface]
    lines: list[LossLine]
    networks: list[NetworkNumbers]
    left_out: list = dataclasses.field(default_factory=list)
    trainings: list[TrainingCurvature] = dataclasses.field(default_factory=list)

    @property
    def images(self):
        """How many the numbers of its networks are of."""
        return self.networks[0].examples

    def planes_of(self, kind):
        return [plane for plane in self.planes if plane.kind == kind]

    def to_json(self):
        return {
            "planes": [plane.to_json() for plane in self.planes],
            "lines": [json_values(line) for line in self.lines],
            "networks": [network.to_json() for network in self.networks],
            "left_out": self.left_out,
            "trainings": [json_values(training) for training in self.trainings],
        }

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)
