"""What a training reads: a dataset, the order of its batches, and logits that come with the labels."""

import dataclasses
from typing import Protocol

import numpy as np

from keras_kd.data.dataset import Dataset
from keras_kd.data.sampling import BatchSchedule


class TeacherTargets(Protocol):
    """Logits that stand beside the labels, so that no teacher is asked at each step.

    Cached logits (`distillation.teacher_cache.TeacherLogits`) and the controls of a study are such. A teacher
    that is asked live is none: it sees the images of the step.

    Attributes:
      views: how many views of the training examples there are.
      identity: `{name: JSON value}`: whose logits of what they are.
    """

    views: int
    identity: dict

    def check(self, teacher, dataset, schedule):
        """Raises a ValueError if these are not the logits of this teacher, dataset and schedule."""

    def train(self, view, index) -> np.ndarray:
        """float32 `[n, classes]`: of training examples, `index` `[n]`, under a view."""

    def validation(self, start, stop) -> np.ndarray:
        """float32 `[stop - start, classes]`: of validation examples, which are not augmented."""


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """All that a training reads.

    Attributes:
      dataset: a `keras_kd.data.Dataset`.
      schedule: the `BatchSchedule` of a training on it.
      targets: the `TeacherTargets` of the schedule's views, or None.
      on_device: whether batches name images that lie on the device (see `device_images`) instead of showing
        them.
      label_smoothing: share of each training label that is spread evenly over all classes.
    """

    dataset: Dataset
    schedule: BatchSchedule
    targets: TeacherTargets | None = None
    on_device: bool = False
    label_smoothing: float = 0.0

    @property
    def has_soft_labels(self):
        """Whether labels are shares of the classes, `[n, classes]`, those of validation one-hot."""
        return self.schedule.augmentation.mixes or self.label_smoothing > 0

    def labels(self, view, index, params):
        """What training examples are labelled with.

        Args:
          view: of the schedule.
          index: whole numbers `[n]`, positions in the training split.
          params: `{field: [n]}`, the augmentation's parameters.

        Returns:
          int64 `[n]`, or where `has_soft_labels` float32 `[n, classes]`; with targets
          `{"labels": ..., "teacher_logits": float32 [n, classes]}`, as the `Distiller` takes them.
        """
        labels = self.dataset.train.labels[index]
        if self.has_soft_labels:
            every = self.dataset.train.labels
            labels = self.soft_labels(lambda places: self._one_hot(every[places]), index, params)
        return labels if self.targets is None else with_logits(labels, self.targets.train(view, index))

    def soft_labels(self, one_hot, index, params):
        """The labels of training examples as shares of the classes, smoothed and mixed.

        Args:
          one_hot: a function from positions `[n]` to float32 `[n, classes]`, arrays or tensors.
          index, params: as for `labels`.

        Returns:
          float32 `[n, classes]`, of the same kind.
        """
        kept, spread = 1.0 - self.label_smoothing, self.label_smoothing / self.dataset.num_classes
        return self.schedule.augmentation.mix_labels(
            lambda places: kept * one_hot(places) + spread, index, params
        )

    def _one_hot(self, labels):
        return np.equal(labels[:, None], np.arange(self.dataset.num_classes)).astype(np.float32)

    def validation_labels(self, start, stop):
        """The same of validation examples from `start` up to `stop`, never smoothed or mixed."""
        labels = self.dataset.validation.labels[start:stop]
        labels = self._one_hot(labels) if self.has_soft_labels else labels
        return labels if self.targets is None else with_logits(labels, self.targets.validation(start, stop))


def with_logits(labels, logits):
    """Labels and teacher's logits as the `Distiller` takes them."""
    return {"labels": labels, "teacher_logits": logits}
