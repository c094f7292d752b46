"""A dataset in memory: its splits, its normalisation, and what it is known by."""

import dataclasses
import functools
import hashlib
from typing import NamedTuple, Protocol

import numpy as np


class ImageSplit(Protocol):
    """What a training or a measurement asks of a split; `Split` holds it in memory.

    Attributes:
      images: uint8 `[n, height, width, channels]`; may be any array that is indexed like NumPy's.
      labels: int64 `[n]`.
    """

    images: np.ndarray
    labels: np.ndarray

    def take(self, index):
        """The split of the examples at `index`, an array of positions."""


class Split(NamedTuple):
    """Examples: `images` uint8 `[n, height, width, channels]`, `labels` int64 `[n]`."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, index):
        """The examples at `index`, an array of positions."""
        return Split(self.images[index], self.labels[index])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset in memory.

    Attributes:
      name: as given to `load`.
      train, validation, test: an `ImageSplit` each.
      class_names: one string per class.
      flips: whether a mirrored image shows the same class.
      moments_of: the images whose mean and deviation normalise all; None: those of train.
      split_seed: which part of train became validation.
    """

    name: str
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    class_names: tuple[str, ...]
    flips: bool
    moments_of: np.ndarray | None = None
    split_seed: int = 0

    @property
    def image_shape(self):
        """`(height, width, channels)`."""
        return self.train.images.shape[1:]

    @property
    def num_classes(self):
        return len(self.class_names)

    @functools.cached_property
    def mean(self):
        """float32 `[channels]`: the mean of the training images (or `moments_of`), scaled to [0, 1]."""
        return self._moments[0]

    @functools.cached_property
    def std(self):
        """float32 `[channels]`: the standard deviation of the same images, same scale."""
        return self._moments[1]

    @functools.cached_property
    def _moments(self):
        values = np.arange(256) / 255
        images = self.train.images if self.moments_of is None else self.moments_of
        counts = np.stack(
            [np.bincount(images[..., c].ravel(), minlength=256) for c in range(self.image_shape[-1])]
        )
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ values
        std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))
        return mean.astype("float32"), np.where(std > 0, std, 1).astype("float32")

    @functools.cached_property
    def fingerprint(self):
        """16 hex digits that differ when any image, label or split does, what normalises, or `flips`."""
        digest = hashlib.sha256(f"{self.examples_fingerprint} {self.flips}".encode())
        if self.moments_of is not None:
            _update(digest, self.moments_of)
        return digest.hexdigest()[:16]

    @functools.cached_property
    def examples_fingerprint(self):
        """16 hex digits of the images, labels and splits alone: the fingerprint of earlier versions."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            _update(digest, split.images)
            _update(digest, split.labels)
        return digest.hexdigest()[:16]


def _update(digest, array):
    digest.update(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array).data)
