"""What networks cost, as frozen dataclasses, and as `costs.json`."""

import dataclasses

from keras_kd.export.latency import Latency
from keras_kd.models.cost import BYTES
from keras_kd.utils import files, records

# In JSON, as earlier versions wrote them.
_NAMES = {"retained_at_peak": "held_at_peak", "retained": "held"}


@dataclasses.dataclass(frozen=True)
class NetworkCost:
    """What one network costs: counted from its graph, and measured as far as it was.

    Attributes:
      label: of the network.
      parameters, multiply_adds, statistics, not_counted: see `models.cost.Cost`, like all that is counted.
      peak: `{dtype: bytes}` of feature maps at once.
      peak_at: name of the layer that needs them.
      retained_at_peak, retained: shares of feature maps that wait for a later operation: there, and over all.
      image: numbers in an image.
      moments: `[name, used, retained]` of each operation; see `models.cost.MemoryStep`.
      accuracy: on test, in [0, 1]; None if unknown.
      test_images: on how many that was measured; None if unknown.
      arena: `{dtype: bytes}` that LiteRT has taken.
      files: `{format: bytes}`.
      latency: `{runtime: {images at a time: Latency}}`, the number of images as text.
    """

    label: str
    parameters: int
    multiply_adds: int
    peak: dict[str, int]
    peak_at: str
    retained_at_peak: float
    retained: float
    image: int
    moments: list
    statistics: int = 0
    not_counted: tuple[str, ...] = ()
    accuracy: float | None = None
    test_images: int | None = None
    arena: dict = dataclasses.field(default_factory=dict)
    files: dict = dataclasses.field(default_factory=dict)
    latency: dict[str, dict[str, Latency]] = dataclasses.field(default_factory=dict)

    @classmethod
    def counted(cls, label, cost, accuracy=None, test_images=None):
        """Of a `models.cost.Cost`, with nothing measured yet."""
        return cls(
            label=label,
            parameters=cost.parameters,
            multiply_adds=cost.multiply_adds,
            peak={dtype: cost.peak(dtype) for dtype in BYTES},
            peak_at=cost.highest.name,
            retained_at_peak=cost.retained_at_peak,
            retained=cost.retained,
            image=cost.image,
            moments=[[moment.name, moment.used, moment.retained] for moment in cost.moments],
            statistics=cost.statistics,
            not_counted=cost.not_counted,
            accuracy=accuracy,
            test_images=test_images,
        )

    def to_json(self):
        return files.plain_values(records.json_values(self, _NAMES))

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values, _NAMES)


@dataclasses.dataclass(frozen=True)
class CostCard:
    """What some networks cost, and where that was measured.

    Attributes:
      command: that was typed.
      threads: of each runtime.
      machine, versions: see `utils.environment`.
      networks: `NetworkCost`s.
      digest: of the weights of the exported network that the card is of; None of networks by their names, and
        in files of older versions.
      answers: what networks cost against their residual twins, in sentences.
    """

    command: str
    threads: int
    machine: dict
    versions: dict
    networks: tuple[NetworkCost, ...]
    digest: str | None = None
    answers: tuple[str, ...] = ()

    def to_json(self):
        values = records.json_values(self)
        return files.plain_values(values | {"networks": [each.to_json() for each in self.networks]})

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)
