"""What each training batch holds: a pure function of (seed, epoch, index), in plain numbers.

Neither the backend, nor the number of replicas, nor where a run was taken up again changes it.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from keras_kd.data import augmentation as augmentations
from keras_kd.utils.checks import is_whole

# Separates the streams of random numbers that share a seed and an epoch or view.
_ORDER, _AUGMENTATION = range(2)


class EpochBatches(NamedTuple):
    """The batches of an epoch.

    Attributes:
      index: int32 `[steps, batch]`, positions in the training split.
      params: `{field: [steps, batch]}`, the augmentation's parameters.
    """

    index: np.ndarray
    params: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class BatchSchedule:
    """The batches of every epoch.

    Each epoch holds the training examples in an order of its own, without the last few that do
    not fill a batch. How an example is augmented depends on the seed, the view and its position in the
    split alone; without `views` each epoch is a view of its own.

    Attributes:
      count: of training examples.
      image_shape: `(height, width, channels)`.
      batch_size: examples a batch, over all replicas.
      seed: of order and augmentation.
      augmentation: an `augmentation.Augmentation`.
      views: how many different views there are; epoch e shows view e mod `views`. 0: no end.
    """

    count: int
    image_shape: tuple[int, int, int]
    batch_size: int
    seed: int = 0
    augmentation: augmentations.Augmentation = dataclasses.field(default_factory=augmentations.NoAugmentation)
    views: int = 0

    @property
    def steps(self):
        """Batches in an epoch."""
        return self.count // self.batch_size

    def view_of(self, epoch):
        """The view that an epoch shows."""
        return epoch % self.views if self.views else epoch

    def epoch(self, epoch):
        """The `EpochBatches` of that number."""
        order = self._random(epoch, _ORDER).permutation(self.count)[: self.steps * self.batch_size]
        index = order.astype(np.int32).reshape(self.steps, self.batch_size)
        params = self.view(self.view_of(epoch))
        return EpochBatches(index, {field: values[index] for field, values in params.items()})

    def view(self, view):
        """`{field: array [count]}`: the augmentation's parameters of all examples in a view."""
        rng = self._random(view, _AUGMENTATION)
        return self.augmentation.sample(rng, self.count, self.image_shape)

    def _random(self, number, stream):
        return np.random.default_rng([self.seed, number, stream])


def batch_schedule(dataset, batch_size, *, seed=0, augmentation="auto", views=0):
    """The `BatchSchedule` of a training on a dataset.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      batch_size: examples a batch, over all replicas.
      seed, views: see `BatchSchedule`.
      augmentation: a spec; see `augmentation.make`.

    Raises:
      ValueError: if train is smaller than a batch, or for an unknown augmentation.
    """
    count = len(dataset.train.labels)
    if not is_whole(batch_size) or not 1 <= batch_size <= count:
        raise ValueError(
            f"batch_size must be a whole number from 1 to the number of training examples, {count}. "
            f"Received: batch_size={batch_size!r}"
        )
    drawn = augmentations.make(augmentation, dataset)
    return BatchSchedule(count, tuple(dataset.image_shape), int(batch_size), seed, drawn, views)
