"""What an augmentation is: drawn in NumPy, carried as numbers, done on the device that computes.

A new augmentation is one class in a file of its own, and one entry of `AUGMENTATIONS` in `__init__`.
"""

import abc
import dataclasses
from typing import ClassVar

import numpy as np
from keras import ops

from keras_kd.utils import specs


def normalise(images, mean, std):
    """uint8 `[batch, height, width, channels]` to float32, `(image / 255 - mean) / std`."""
    return (ops.cast(images, "float32") / 255.0 - mean) / std


def spec_of(part):
    """The text of a part of an augmentation: its name and the options that are not the usual ones."""
    options = {each.name: (getattr(part, each.name), each.default) for each in dataclasses.fields(part)}
    return specs.as_text(part.name, {k: value for k, (value, usual) in options.items() if value != usual})


@dataclasses.dataclass(frozen=True)
class Augmentation(abc.ABC):
    """A random transformation of images in two pure steps.

    `sample` draws what is done to each example; `transform` does it. Whoever orders batches, keeps images on
    the device or caches logits carries the parameters as they are, `{field: one number an example}`, and
    knows nothing of their meaning. What takes several numbers has several fields.

    A subclass is a frozen dataclass; its dataclass fields are its options, as specs have them.

    Attributes:
      name: what specs call it.
      fields: `{field: dtype}` of the parameters.
      mixes: whether images are mixed with others, so that labels are shares of classes.
    """

    mixes = False
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
    def transform(self, pixels, params, mean):
        """Transforms a batch.

        Args:
          pixels: float32 `[batch, height, width, channels]` in [0, 1].
          params: `{field: [batch]}`, as `sample` draws them.
          mean: float32 `[channels]`, the colour of what lies outside an image: 0 once it is normalised.

        Returns:
          Likewise.
        """

    def apply(self, images, params, mean, std):
        """Transforms and normalises a batch.

        Args:
          images: uint8 `[batch, height, width, channels]`.
          params: as for `transform`.
          mean, std: float32 `[channels]`; see `normalise`.

        Returns:
          float32 `[batch, height, width, channels]`.
        """
        return (self.transform(ops.cast(images, "float32") / 255.0, params, mean) - mean) / std

    def fetch_and_apply(self, fetch, index, params, mean, std):
        """Fetches examples, and others that they may be mixed with, and transforms and normalises them.

        Args:
          fetch: a function from indices of training examples, int `[batch]`, to their uint8 images.
          index: of the examples.
          params, mean, std: as for `apply`.

        Returns:
          As `apply`.
        """
        return self.apply(fetch(index), params, mean, std)

    def mix_labels(self, fetch, index, params):
        """The labels of what `fetch_and_apply` shows.

        Args:
          fetch: a function from indices of training examples to float32 `[batch, classes]`, one-hot labels.
          index, params: as for `fetch_and_apply`.

        Returns:
          float32 `[batch, classes]`.
        """
        return fetch(index)

    def neutral(self, count):
        """`{field: array [count]}`, the parameters under which `apply` only normalises."""
        return {field: np.zeros(count, dtype) for field, dtype in self.fields.items()}

    @property
    def spec(self):
        """The text of which `augmentation.parse` makes the same again; caches and results have it."""
        return spec_of(self)


class NoAugmentation(Augmentation):
    """Images as they are."""

    name = "none"
    fields: ClassVar = {}

    def sample(self, rng, count, image_shape):
        return {}

    def transform(self, pixels, params, mean):
        return pixels
