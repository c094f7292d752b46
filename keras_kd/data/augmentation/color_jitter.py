"""Brightness, contrast and saturation of images changed at random.

Source: Howard 2013, arXiv:1312.5402, section 2 (brightness, contrast, colour).
"""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_kd.data.augmentation.base import Augmentation
from keras_kd.data.augmentation.colours import blend, grey, grey_mean
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class ColorJitter(Augmentation):
    """Brightness, then contrast, then saturation, each by a factor of its own.

    Parameters: `brightness`, `contrast`, `saturation`: by how much the factor is above 1.

    Attributes:
      brightness, contrast, saturation: the farthest from 1 that the factor is; 0 leaves it.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4

    name = "color_jitter"
    fields: ClassVar = {"brightness": "float32", "contrast": "float32", "saturation": "float32"}

    def __post_init__(self):
        for field in self.fields:
            limits.SHARE.check(field, getattr(self, field))

    def sample(self, rng, count, image_shape):
        farthest = {field: getattr(self, field) for field in self.fields}
        return {field: rng.uniform(-most, most, count).astype(np.float32) for field, most in farthest.items()}

    def transform(self, pixels, params, mean):
        factors = (1.0 + ops.cast(params[field], "float32")[:, None, None, None] for field in self.fields)
        brightness, contrast, saturation = factors
        pixels = blend(ops.zeros_like(pixels), pixels, brightness)
        pixels = blend(grey_mean(pixels), pixels, contrast)
        return blend(grey(pixels), pixels, saturation)
