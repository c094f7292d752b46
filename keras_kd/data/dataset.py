"""A dataset: its splits, its normalisation, and what it is known by."""

import dataclasses
import functools
import hashlib
from typing import NamedTuple, Protocol

import numpy as np

from keras_kd.data import lazy_images

# Of how many images, at the most, mean and deviation are taken where each has to be decoded.
MOMENTS_SAMPLE = 1000


class ImageSplit(Protocol):
    """What a training or a measurement asks of a split; `Split` holds it in memory.

    Attributes:
      images: uint8 `[n, height, width, channels]`: an array, or `LazyImages`, of which no more than a
        batch is to be asked for at a time.
      labels: int64 `[n]`.
    """

    images: np.ndarray
    labels: np.ndarray

    def take(self, index):
        """The split of the examples at `index`, an array of positions."""


class Split(NamedTuple):
    """Examples: `images` uint8 `[n, height, width, channels]`, `labels` int64 `[n]`."""

    images: np.ndarray | lazy_images.LazyImages
    labels: np.ndarray

    def take(self, index):
        """The examples at `index`, an array of positions."""
        return Split(self.images.take(index, axis=0), self.labels[index])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images and labels of three splits.

    Attributes:
      name: as given to `load`.
      train, validation, test: an `ImageSplit` each.
      class_names: one string per class.
      flips: whether a mirrored image shows the same class.
      moments_of: the images whose mean and deviation normalise all; None: those of train.
      split_seed: which part of train became validation.
      resizing: how images of other sizes became one: "centre" or "whole", see `image_decoding.read`.
      absolute_name: as it is understood in every folder; None: it is found by no name.
    """

    name: str
    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    class_names: tuple[str, ...]
    flips: bool
    moments_of: np.ndarray | lazy_images.LazyImages | None = None
    split_seed: int = 0
    resizing: str = "centre"
    absolute_name: str | None = None

    @property
    def image_shape(self):
        """`(height, width, channels)`."""
        return self.train.images.shape[1:]

    @property
    def num_classes(self):
        return len(self.class_names)

    @property
    def multi_label(self):
        """Whether labels say yes or no of each class, 0 or 1 `[n, classes]`."""
        return np.ndim(self.train.labels) == 2

    @functools.cached_property
    def mean(self):
        """float32 `[channels]`: the mean of the training images (or `moments_of`), scaled to [0, 1].

        Of images in files that of `MOMENTS_SAMPLE`, always the same ones.
        """
        return self._moments[0]

    @functools.cached_property
    def std(self):
        """float32 `[channels]`: the standard deviation of the same images, same scale."""
        return self._moments[1]

    @functools.cached_property
    def _moments(self):
        values = np.arange(256) / 255
        images = self.train.images if self.moments_of is None else self.moments_of
        sample = None
        if lazy_images.is_decoded(images) and len(images) > MOMENTS_SAMPLE:
            sample = np.sort(np.random.default_rng(0).choice(len(images), MOMENTS_SAMPLE, replace=False))
        counts = sum(map(_pixel_counts, lazy_images.batches(images, 64, sample)))
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ values
        std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))
        return mean.astype("float32"), np.where(std > 0, std, 1).astype("float32")

    @property
    def bad_images(self):
        """`{file: reason}` of the images that are done without, as far as they were met; else None."""
        splits = (self.train, self.validation, self.test)
        found = [split.images.source.bad for split in splits if lazy_images.is_lazy(split.images)]
        found = [bad for bad in found if bad is not None]
        return {name: reason for bad in found for name, reason in bad.items()} if found else None

    @functools.cached_property
    def fingerprint(self):
        """16 hex digits that differ when any image, label or split does, what normalises, or `flips`.

        Of images in files names, sizes and the first bytes of some are looked at, and no pixel.
        """
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


def _pixel_counts(images):
    """int `[channels, 256]`: how often each value is there."""
    return np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])


def is_multi_label(dataset):
    """Whether a dataset's labels say yes or no of each class; False of what has no such attribute."""
    return getattr(dataset, "multi_label", False)


def check_one_class(dataset, what):
    """Raises a ValueError, told in the name of `what`, for labels that say yes or no of each class."""
    if is_multi_label(dataset):
        raise ValueError(
            f"{what} takes labels of one class for each image, and those of {dataset.name} say yes or no of "
            f"each class: train and distil take both"
        )


def _update(digest, array):
    digest.update(str(array.shape).encode())
    if not lazy_images.is_lazy(array):
        digest.update(np.ascontiguousarray(array).data)
    elif array.source.is_raw:
        for part in lazy_images.batches(array, 256):
            digest.update(part.data)
    else:
        digest.update(array.fingerprint.encode())
