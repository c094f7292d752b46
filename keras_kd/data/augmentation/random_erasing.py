"""A rectangle of an image erased.

Source: Zhong et al. 2020, arXiv:1708.04896, section 3.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_kd.data.augmentation import boxes
from keras_kd.data.augmentation.base import Augmentation
from keras_kd.data.augmentation.resampling import rows_and_columns
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class RandomErasing(Augmentation):
    """A random rectangle of some images becomes the mean image.

    Parameters: `top`, `rows`, `left`, `columns`: the rectangle in pixels; no rows, no rectangle.

    Attributes:
      probability: share of the images.
      smallest, largest: its area, as a share of the image's.
      ratio: its smallest width / height; the largest is the inverse.
    """

    probability: float = 0.5
    smallest: float = 0.02
    largest: float = 0.4
    ratio: float = 0.3

    name = "random_erasing"
    fields: ClassVar = {"top": "int32", "rows": "int32", "left": "int32", "columns": "int32"}

    def __post_init__(self):
        limits.SHARE.check("probability", self.probability)
        for option in ("smallest", "largest", "ratio"):
            limits.AREA.check(option, getattr(self, option))
        if self.smallest > self.largest:
            raise ValueError(
                "the smallest area must not be above the largest. "
                f"Received: smallest={self.smallest!r}, largest={self.largest!r}"
            )

    def sample(self, rng, count, image_shape):
        drawn = boxes.draw(rng, count, image_shape, (self.smallest, self.largest), self.ratio)
        params = dict(zip(self.fields, drawn, strict=True))
        kept = rng.uniform(size=count) >= self.probability
        return params | {"rows": np.where(kept, np.int32(0), params["rows"])}

    def transform(self, pixels, params, mean):
        y, x = rows_and_columns(pixels)
        place = [ops.cast(params[field], "float32")[:, None, None] for field in self.fields]
        top, rows, left, columns = place
        erased = (y >= top) & (y < top + rows) & (x >= left) & (x < left + columns)
        return ops.where(erased[..., None], mean, pixels)
