"""A part of an image, resized to the whole: the augmentation of ImageNet's networks.

Source: Szegedy et al. 2015, arXiv:1409.4842, section 6.
"""

import dataclasses
from typing import ClassVar

from keras import ops

from keras_kd.data.augmentation import boxes
from keras_kd.data.augmentation.base import Augmentation
from keras_kd.data.augmentation.resampling import bilinear, rows_and_columns
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class ResizedCrop(Augmentation):
    """A random rectangle of the image, resized bilinearly to the image's size.

    Parameters: `top`, `bottom`, `left`, `right`: how many pixels are cut away at each side.

    Attributes:
      scale: the smallest area of the rectangle, as a share of the image's.
      ratio: its smallest width / height; the largest is the inverse.
    """

    scale: float = 0.08
    ratio: float = 0.75

    name = "resized_crop"
    fields: ClassVar = {"top": "int32", "bottom": "int32", "left": "int32", "right": "int32"}

    def __post_init__(self):
        limits.AREA.check("scale", self.scale)
        limits.AREA.check("ratio", self.ratio)

    def sample(self, rng, count, image_shape):
        top, rows, left, columns = boxes.draw(rng, count, image_shape, (self.scale, 1), self.ratio)
        height, width = image_shape[:2]
        return {
            "top": top,
            "bottom": (height - rows - top).astype(top.dtype),
            "left": left,
            "right": (width - columns - left).astype(left.dtype),
        }

    def transform(self, pixels, params, mean):
        _, height, width, _ = pixels.shape
        y, x = rows_and_columns(pixels)
        cut = {field: ops.cast(params[field], "float32")[:, None, None] for field in self.fields}
        y = cut["top"] + (y + 0.5) * (height - cut["top"] - cut["bottom"]) / height - 0.5
        x = cut["left"] + (x + 0.5) * (width - cut["left"] - cut["right"]) / width - 0.5
        y, x = ops.broadcast_to(y, ops.shape(y + x)), ops.broadcast_to(x, ops.shape(y + x))
        return bilinear(pixels, y, x)
