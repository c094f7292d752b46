"""Augmentations one after the other."""

import collections
import dataclasses

from keras_kd.data.augmentation.base import Augmentation
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class Sum(Augmentation):
    """Several augmentations one after the other; their parameters are drawn in the same order.

    Parameters: those of the parts, `PART_FIELD` where two parts have the same field.

    Attributes:
      parts: `Augmentation`s, two or more, each once.

    Raises:
      ValueError: where a part is there twice.
    """

    parts: tuple[Augmentation, ...]

    name = "sum"

    def __post_init__(self):
        limits.check_each_once("augmentation", [part.name for part in self.parts])

    @property
    def spec(self):
        return "+".join(part.spec for part in self.parts)

    @property
    def fields(self):
        fields = zip(self.parts, self._names, strict=True)
        return {names[field]: dtype for part, names in fields for field, dtype in part.fields.items()}

    @property
    def _names(self):
        """`{field of a part: field of the sum}` for each part."""
        shared = collections.Counter(field for part in self.parts for field in part.fields)
        return [
            {field: f"{part.name}_{field}" if shared[field] > 1 else field for field in part.fields}
            for part in self.parts
        ]

    def sample(self, rng, count, image_shape):
        drawn = [part.sample(rng, count, image_shape) for part in self.parts]
        return self._together(drawn)

    def neutral(self, count):
        return self._together([part.neutral(count) for part in self.parts])

    def _together(self, params):
        pairs = zip(self._names, params, strict=True)
        return {names[field]: values for names, each in pairs for field, values in each.items()}

    def transform(self, pixels, params, mean):
        for part, names in zip(self.parts, self._names, strict=True):
            own = {field: params[name] for field, name in names.items()}
            pixels = part.transform(pixels, own, mean)
        return pixels
