"""What each training batch holds: a pure function of (seed, epoch, index), in plain numbers.

Neither the backend, nor the number of replicas, nor where a run was taken up again changes it.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_kd.data.augmentation import limits, resolve

# Separates the streams of random numbers that share a seed and an epoch or view.
_ORDER, _MOVES = range(2)


class AugmentParams(NamedTuple):
    """Where images go: int32 arrays of one shape, as `augmentation.augment` takes them."""

    rows: np.ndarray
    columns: np.ndarray
    mirrored: np.ndarray

    def take(self, index):
        """The moves of the examples at `index`."""
        return AugmentParams(*(values[index] for values in self))


class EpochBatches(NamedTuple):
    """The batches of an epoch.

    Attributes:
      index: int32 `[steps, batch]`, places in the training split.
      moves: `Moves` of `[steps, batch]`.
    """

    index: np.ndarray
    moves: AugmentParams


@dataclasses.dataclass(frozen=True)
class BatchSchedule:
    """The batches of every epoch.

    Each epoch holds the training examples in an order of its own, without the last few that do
    not fill a batch. How an example is moved and mirrored depends on the seed, the view and its
    place in the split alone; without `views` each epoch is a view of its own.

    Attributes:
      count: of training examples.
      image_shape: `(height, width, channels)`.
      batch_size: examples a batch, over all replicas.
      seed: of order and moves.
      augmentation: "none", "crop" (moves by up to an eighth) or "crop_flip" (also mirrors every
        other image).
      views: how many different views there are; epoch e shows view e mod `views`. 0: no end.
    """

    count: int
    image_shape: tuple[int, int, int]
    batch_size: int
    seed: int = 0
    augmentation: str = "none"
    views: int = 0

    @property
    def steps(self):
        """Batches in an epoch."""
        return self.count // self.batch_size

    def view_of(self, epoch):
        """The view that an epoch shows."""
        return epoch % self.views if self.views else epoch

    def epoch(self, epoch):
        """The `Epoch` of that number."""
        order = self._random(epoch, _ORDER).permutation(self.count)[: self.steps * self.batch_size]
        index = order.astype(np.int32).reshape(self.steps, self.batch_size)
        return EpochBatches(index, self.view(self.view_of(epoch)).take(index))

    def view(self, view):
        """The `Moves` of all examples, `[count]`, in a view."""
        moves = np.zeros((3, self.count), np.int32)
        random = self._random(view, _MOVES)
        if self.augmentation != "none":
            for values, limit in zip(moves[:2], limits(self.image_shape), strict=True):
                values[:] = random.integers(-limit, limit, self.count, endpoint=True)
        if self.augmentation == "crop_flip":
            moves[2] = random.integers(0, 2, self.count)
        return AugmentParams(*moves)

    def _random(self, number, stream):
        return np.random.default_rng([self.seed, number, stream])


def batch_schedule(dataset, batch_size, *, seed=0, augmentation="auto", views=0):
    """The `Plan` of a training on a dataset.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      batch_size: examples a batch, over all replicas.
      seed, views: see `Plan`.
      augmentation: as there, or "auto": "crop_flip" where a mirrored image shows the same class,
        "crop" elsewhere.

    Raises:
      ValueError: if train is smaller than a batch, or for an unknown augmentation.
    """
    count = len(dataset.train.labels)
    if not isinstance(batch_size, int) or not 1 <= batch_size <= count:
        raise ValueError(
            f"batch_size must be a whole number from 1 to the number of training examples, {count}. "
            f"Received: batch_size={batch_size!r}"
        )
    resolved = resolve(dataset, augmentation)
    return BatchSchedule(count, tuple(dataset.image_shape), batch_size, seed, resolved, views)
