"""A rectangle of one image in another.

Source: Yun et al. 2019, arXiv:1905.04899, section 3.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_kd.data.augmentation.mixing import Mixing
from keras_kd.data.augmentation.resampling import rows_and_columns
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class CutMix(Mixing):
    """A rectangle of the partner replaces the same one of the image; labels are mixed by the areas.

    The rectangle has the image's shape and an area drawn from Beta(alpha, alpha); its centre is anywhere, and
    what lies outside the image is cut off.

    Parameters: `top`, `bottom`, `left`, `right`: its first row and the one after its last, columns likewise;
    `weight`: the share of the image that stays.

    Attributes:
      alpha: > 0; 1 draws all areas alike often.
      probability: share of the images that are mixed.
    """

    alpha: float = 1.0
    probability: float = 1.0

    name = "cutmix"
    fields: ClassVar = {
        "top": "int32",
        "bottom": "int32",
        "left": "int32",
        "right": "int32",
        "weight": "float32",
    }

    def __post_init__(self):
        limits.MIXING_ALPHA.check("alpha", self.alpha)
        limits.SHARE.check("probability", self.probability)

    def sample(self, rng, count, image_shape):
        side = np.sqrt(1 - rng.beta(self.alpha, self.alpha, count))
        side = np.where(rng.uniform(size=count) < self.probability, side, 0.0)
        ends = []
        for size in image_shape[:2]:
            half = (side * size).astype(int) // 2
            centre = rng.integers(0, size, count)
            ends += [np.clip(centre + sign * half, 0, size).astype(np.int32) for sign in (-1, 1)]
        top, bottom, left, right = ends
        area = (bottom - top) * (right - left) / np.prod(image_shape[:2])
        return dict(zip(self.fields, (*ends, (1 - area).astype(np.float32)), strict=True))

    def mix(self, images, partners, params):
        y, x = rows_and_columns(images)
        ends = (ops.cast(params[field], "float32")[:, None, None] for field in list(self.fields)[:4])
        top, bottom, left, right = ends
        inside = (y >= top) & (y < bottom) & (x >= left) & (x < right)
        return ops.where(inside[..., None], partners, images)
