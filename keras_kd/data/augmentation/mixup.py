"""Two images laid over each other.

Source: Zhang et al. 2018, arXiv:1710.09412, section 2.
"""

import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_kd.data.augmentation.mixing import Mixing
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class MixUp(Mixing):
    """`weight * image + (1 - weight) * partner`, labels alike; weight is drawn from Beta(alpha, alpha).

    Attributes:
      alpha: > 0: small ones leave most images nearly pure, 1 draws all weights alike often.
      probability: share of the images that are mixed.
    """

    alpha: float = 0.2
    probability: float = 1.0

    name = "mixup"
    fields: ClassVar = {"weight": "float32"}

    def __post_init__(self):
        limits.MIXING_ALPHA.check("alpha", self.alpha)
        limits.SHARE.check("probability", self.probability)

    def sample(self, rng, count, image_shape):
        weight = rng.beta(self.alpha, self.alpha, count)
        mixed = rng.uniform(size=count) < self.probability
        return {"weight": np.where(mixed, weight, 1.0).astype(np.float32)}

    def mix(self, images, partners, params):
        weight = ops.convert_to_tensor(params["weight"])[:, None, None, None]
        return weight * images + (1.0 - weight) * partners
