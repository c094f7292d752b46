"""What `analyze` found about feature reuse: similarity of layers, and numbers of each network."""

import dataclasses
import math

from keras_kd.analysis.reuse.lesion_plan import LesionResults
from keras_kd.analysis.reuse.metrics import Branch
from keras_kd.utils import records, statistics
from keras_kd.utils.records import json_values


@dataclasses.dataclass(frozen=True)
class LayerSimilarity:
    """Linear CKA of every layer of one network with every layer of another, or of the same.

    Attributes:
      x, y: labels of the networks.
      layers_x, layers_y: names of the layers, the rows and the columns of `values`.
      values: `[layers_x][layers_y]`.
    """

    x: str
    y: str
    layers_x: list
    layers_y: list
    values: list


@dataclasses.dataclass(frozen=True)
class NetworkReuse:
    """How one network uses its features and blocks. Accuracies, and drops of them, are in [0, 1].

    Attributes:
      label: of the network.
      layers: names of those that are compared.
      spectra: singular values of each layer's features, falling.
      ranks: the effective rank of each.
      effective_rank: their mean.
      accuracy: on the images.
      compared: "blocks", "all", or the names that were asked for.
      has_blocks: whether it has blocks; without, all below `probe_middle` are None but for CKA.
      probes: accuracy of a linear classifier on each layer, or None where none is asked for.
      probe_middle: that of the middle layer.
      branches: `{block: Branch}`.
      lesions: `LesionResults`.
      cannot_be_silenced: names of blocks.
      lesion_drop, lesion_worst: of accuracy when a block is silenced, mean and largest.
      swap_drop: of accuracy when two blocks are swapped, mean.
      branch_ratio, branch_cosine: means over the blocks for which all networks have them.
      cka_neighbours: mean CKA of neighbouring layers.
      cka_first: mean CKA with the first network's layers in the same place; None if it has not as many.
    """

    label: str
    layers: list
    spectra: list
    ranks: list
    effective_rank: float
    accuracy: float | None = None
    compared: str = "blocks"
    has_blocks: bool = True
    probes: list | None = None
    probe_middle: float | None = None
    branches: dict[str, Branch] | None = None
    lesions: LesionResults | None = None
    cannot_be_silenced: list | None = None
    lesion_drop: float | None = None
    lesion_worst: float | None = None
    swap_drop: float | None = None
    branch_ratio: float | None = None
    branch_cosine: float | None = None
    cka_neighbours: float | None = None
    cka_first: float | None = None

    def to_json(self):
        values = json_values(self)
        if self.has_blocks:
            branches = self.branches.items()
            values["branches"] = {block: json_values(branch) for block, branch in branches}
            values["lesions"] = json_values(self.lesions)
        left_out = set() if self.has_blocks else set(_OF_BLOCKS)
        left_out |= {name for name in _IF_MEASURED if values[name] is None}
        return {name: value for name, value in values.items() if name not in left_out}

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)


_OF_BLOCKS = (
    "branches",
    "lesions",
    "cannot_be_silenced",
    "lesion_drop",
    "lesion_worst",
    "swap_drop",
    "branch_ratio",
    "branch_cosine",
)

_IF_MEASURED = ("accuracy", "probes", "probe_middle", "cka_first")


@dataclasses.dataclass(frozen=True)
class TrainingReuse:
    """How a network came to be like its trained residual twin.

    Attributes:
      label: of the network.
      twin: label of the other.
      epochs: `[snapshots]`, after how many epochs each was taken.
      cka: `[snapshots]`, mean CKA of what stem and blocks hand on, of the network as it was in training.
      cka_without_shortcuts: the same of what would have been left of it; None where it lost none.
      history: `{metric: [value per epoch]}`, see `trainings.METRICS`.
    """

    label: str
    twin: str
    epochs: list
    cka: list
    cka_without_shortcuts: list | None = None
    history: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class LesionDifference:
    """How much more accuracy one network loses than another when a block is silenced, image by image.

    Attributes:
      one, other: labels of the networks.
      mean: drop of the first minus drop of the second, each a mean over the blocks that all networks can
        spare; in [-2, 2].
      deviation: standard deviation over the images, n - 1 in the denominator.
    """

    one: str
    other: str
    mean: float
    deviation: float


@dataclasses.dataclass(frozen=True)
class ReuseResult:
    """How networks use their features and blocks, and how alike they are.

    Attributes:
      networks: a `NetworkReuse` of each.
      cka: a `LayerSimilarity` of each network with itself and with each other.
      trainings: a `TrainingReuse` of each that kept snapshots and has its residual twin among the networks.
      lesion_differences: a `LesionDifference` of each two that have blocks to silence; none in results of
        earlier versions.
      images: how many all of this is of; None likewise.
    """

    networks: list[NetworkReuse]
    cka: list[LayerSimilarity]
    trainings: list[TrainingReuse] = dataclasses.field(default_factory=list)
    lesion_differences: list[LesionDifference] = dataclasses.field(default_factory=list)
    images: int | None = None

    def lesion_difference(self, one, other, confidence=0.95):
        """How much more the first loses than the second: an `Estimate` over images; None if not measured."""
        signs = {(one, other): 1, (other, one): -1}
        for each in self.lesion_differences:
            if (each.one, each.other) in signs:
                mean = signs[each.one, each.other] * each.mean
                least = 1 / math.sqrt(self.images)  # of one image that differs from all others
                deviation = max(each.deviation, least)
                ends = statistics.student_interval(mean, deviation, self.images, confidence)
                return statistics.Estimate(mean, *ends, each.deviation, self.images)
        return None

    def to_json(self):
        return {
            "networks": [network.to_json() for network in self.networks],
            "cka": [json_values(pair) for pair in self.cka],
            "trainings": [json_values(training) for training in self.trainings],
            "lesion_differences": [json_values(each) for each in self.lesion_differences],
            "images": self.images,
        }

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)
