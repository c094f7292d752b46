"""Images moved by some pixels, and mirrored: the augmentation of the CIFAR networks.

Source: He et al. 2016, arXiv:1512.03385, section 4.2.
"""

from typing import ClassVar

import numpy as np
from keras import ops

from keras_kd.data.augmentation.base import Augmentation, normalise

# How far an image is moved: 4 pixels of 32.
CROP_FRACTION = 8


class Crop(Augmentation):
    """A window of the image's own size, up to an eighth of it away; what lies outside is the mean image.

    Parameters: `rows`, `columns`: how far the window lies below and right of the image, in pixels;
    `mirrored`: 1 where left and right change places after that, here always 0.
    """

    name = "crop"
    fields: ClassVar = {"rows": "int32", "columns": "int32", "mirrored": "int32"}

    def sample(self, rng, count, image_shape):
        params = self.neutral(count)
        for field, size in zip(("rows", "columns"), image_shape[:2], strict=True):
            limit = size // CROP_FRACTION
            params[field] = rng.integers(-limit, limit, count, endpoint=True).astype(np.int32)
        return params

    def transform(self, pixels, params, mean):
        moved, inside = self._window(pixels, params)
        return ops.where(inside, moved, mean)

    def apply(self, images, params, mean, std):
        moved, inside = self._window(images, params)  # as bytes, which are moved faster
        return ops.where(inside, normalise(moved, mean, std), 0.0)

    def _window(self, images, params):
        """What the windows show, and a bool `[batch, height, width, 1]`: where that is of the image."""
        _, height, width, channels = images.shape
        rows, columns, mirrored = (ops.convert_to_tensor(params[field]) for field in self.fields)
        batch = ops.shape(rows)[0]
        across = ops.arange(width)
        across = ops.where(mirrored[:, None] == 1, width - 1 - across, across)
        y, x = rows[:, None] + ops.arange(height), columns[:, None] + across
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        y, x = ops.clip(y, 0, height - 1), ops.clip(x, 0, width - 1)
        pixels = ops.arange(batch)[:, None, None] * (height * width) + y[:, :, None] * width + x[:, None, :]
        return ops.take(ops.reshape(images, (-1, channels)), pixels, axis=0), inside[..., None]


class CropFlip(Crop):
    """`Crop`, and every other image mirrored."""

    name = "crop_flip"

    def sample(self, rng, count, image_shape):
        params = super().sample(rng, count, image_shape)
        return params | {"mirrored": rng.integers(0, 2, count).astype(np.int32)}
