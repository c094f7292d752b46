"""Several operations of a fixed list, chosen at random, all equally strong.

Source: Cubuk et al. 2020, arXiv:1909.13719, section 3; the operations' ranges are torchvision's.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import numpy as np

from keras_kd.data.augmentation import operations
from keras_kd.data.augmentation.base import Augmentation
from keras_kd.utils import limits


class Operation(NamedTuple):
    """One of the list.

    Attributes:
      strongest: its level at the largest magnitude; other levels are in proportion.
      signed: whether every other level is negative.
    """

    strongest: float
    signed: bool


# By number: 0 does nothing, and each has its place in `operations.apply` by name.
OPERATIONS = {
    "identity": Operation(0.0, False),
    "shear_x": Operation(0.3, True),
    "shear_y": Operation(0.3, True),
    "translate_x": Operation(150 / 331, True),
    "translate_y": Operation(150 / 331, True),
    "rotate": Operation(np.pi / 6, True),
    "brightness": Operation(0.9, True),
    "color": Operation(0.9, True),
    "contrast": Operation(0.9, True),
    "sharpness": Operation(0.9, True),
    "posterize": Operation(4.0, False),
    "solarize": Operation(1.0, False),
    "autocontrast": Operation(0.0, False),
    "equalize": Operation(0.0, False),
}


@dataclasses.dataclass(frozen=True)
class RandAugment(Augmentation):
    """Each of `layers` times an operation of `OPERATIONS`; what lies outside an image is the mean image.

    Parameters: `operation_1`, `level_1` and so on: its number and how strong it is, in units of its own.

    Attributes:
      layers: operations an image, one after the other.
      magnitude: how strong they are, from 0 to 30.
    """

    layers: int = 2
    magnitude: float = 9

    name = "randaugment"
    LARGEST: ClassVar = limits.MAGNITUDE.high

    def __post_init__(self):
        whole = isinstance(self.layers, float) and self.layers.is_integer()  # specs know no other numbers
        layers = int(self.layers) if whole else self.layers
        object.__setattr__(self, "layers", limits.LAYERS_OF_AUGMENTATION.check("layers", layers))
        limits.MAGNITUDE.check("magnitude", self.magnitude)

    @property
    def fields(self):
        numbers = range(1, self.layers + 1)
        return {
            f"{field}_{number}": dtype
            for number in numbers
            for field, dtype in (("operation", "int32"), ("level", "float32"))
        }

    def sample(self, rng, count, image_shape):
        strongest = np.array([each.strongest for each in OPERATIONS.values()])
        signed = np.array([each.signed for each in OPERATIONS.values()])
        params = {}
        for number in range(1, self.layers + 1):
            chosen = rng.integers(0, len(OPERATIONS), count)
            sign = np.where(rng.integers(0, 2, count) & signed[chosen], -1, 1)
            level = sign * strongest[chosen] * self.magnitude / self.LARGEST
            params |= {
                f"operation_{number}": chosen.astype(np.int32),
                f"level_{number}": level.astype(np.float32),
            }
        return params

    def transform(self, pixels, params, mean):
        for number in range(1, self.layers + 1):
            chosen, level = params[f"operation_{number}"], params[f"level_{number}"]
            pixels = operations.apply(pixels, list(OPERATIONS), chosen, level, mean)
        return pixels
