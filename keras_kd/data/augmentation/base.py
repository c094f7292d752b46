"""What an augmentation is: drawn in NumPy, carried as numbers, done on the device that computes.

A new augmentation is one class in a file of its own, and one entry of `AUGMENTATIONS` in `__init__`.
"""

import abc
from typing import ClassVar

import numpy as np
from keras import ops


def normalise(images, mean, std):
    """uint8 `[batch, height, width, channels]` to float32, `(image / 255 - mean) / std`."""
    return (ops.cast(images, "float32") / 255.0 - mean) / std


class Augmentation(abc.ABC):
    """A random transformation of images in two pure steps.

    `sample` draws what is done to each example; `apply` does it. Whoever orders batches, keeps images on the
    device or caches logits carries the parameters as they are, `{field: one number an example}`, and knows
    nothing of their meaning.

    Attributes:
      name: what flags, results and caches call it.
      fields: `{field: dtype}` of the parameters.
    """

    name: ClassVar[str]
    fields: ClassVar[dict[str, str]]

    @abc.abstractmethod
    def sample(self, rng, count, image_shape):
        """Draws the parameters of examples.

        Args:
          rng: a `numpy.random.Generator` that depends on the seed and the view alone.
          count: of examples.
          image_shape: `(height, width, channels)`.

        Returns:
          `{field: array [count]}`, for each of `fields`.
        """

    @abc.abstractmethod
    def apply(self, images, params, mean, std):
        """Transforms and normalises a batch.

        Args:
          images: uint8 `[batch, height, width, channels]`.
          params: `{field: [batch]}`, as `sample` draws them.
          mean, std: float32 `[channels]`; see `normalise`.

        Returns:
          float32 `[batch, height, width, channels]`.
        """

    def neutral(self, count):
        """`{field: array [count]}`, the parameters under which `apply` only normalises."""
        return {field: np.zeros(count, dtype) for field, dtype in self.fields.items()}


class NoAugmentation(Augmentation):
    """Images as they are."""

    name = "none"
    fields: ClassVar = {}

    def sample(self, rng, count, image_shape):
        return {}

    def apply(self, images, params, mean, std):
        return normalise(images, mean, std)
