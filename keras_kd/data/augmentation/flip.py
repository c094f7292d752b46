"""Images mirrored."""

from typing import ClassVar

import numpy as np
from keras import ops

from keras_kd.data.augmentation.base import Augmentation


class Flip(Augmentation):
    """Every other image mirrored. Parameter: `mirrored`: 1 where left and right change places."""

    name = "flip"
    fields: ClassVar = {"mirrored": "int32"}

    def sample(self, rng, count, image_shape):
        return {"mirrored": rng.integers(0, 2, count).astype(np.int32)}

    def transform(self, pixels, params, mean):
        mirrored = ops.convert_to_tensor(params["mirrored"])[:, None, None, None] == 1
        return ops.where(mirrored, ops.flip(pixels, axis=2), pixels)
