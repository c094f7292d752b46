"""What a training reads, and where its images lie."""

import dataclasses

import keras

from keras_kd.data import augmentation, device_images, lazy_images, sampling
from keras_kd.data.dataset import is_multi_label
from keras_kd.data.training_data import TrainingData
from keras_kd.distillation.shortcut_removal import NoRemoval, ShortcutRemoval
from keras_kd.losses import right_decisions
from keras_kd.models import network_checks
from keras_kd.training import config
from keras_kd.training.distributed.strategy import parts_of_batch
from keras_kd.utils import backend, limits, progress


def batch_schedule(dataset, settings, views=0):
    """The `sampling.BatchSchedule` of a training.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      settings: a `Settings`.
      views: how many views of each training image there are; 0: a new one in each epoch.
    """
    return sampling.batch_schedule(
        dataset,
        settings.batch_size,
        seed=settings.seed,
        augmentation=settings.augmentation,
        views=views,
    )


def with_fitting_batch(settings, examples):
    """The settings, with a batch no larger than there are training examples, and a line that says so.

    For a batch size that nobody asked for: one that was given is refused where it is too large.

    Args:
      settings: a `Settings`.
      examples: how many there are to train on.
    """
    if settings.batch_size <= examples:
        return settings
    parts = parts_of_batch(settings)
    fitting = max(examples // parts, 1) * parts
    progress.say(
        f"batch_size is {fitting}: there are {examples} training examples, fewer than the default of "
        f"{settings.batch_size}"
    )
    return dataclasses.replace(settings, batch_size=fitting)


def images_on_device(dataset, settings):
    """Whether training images lie on the device, and are augmented there.

    Those that are not in memory do so only if they are asked to.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      settings: a `Settings`.

    Raises:
      ValueError: if they should on several hosts, whose way to share variables knows no bytes.
    """
    if settings.images == "auto" and lazy_images.is_lazy(dataset.train.images):
        return False
    if not backend.on_tensorflow():
        return settings.images != "host"
    if settings.images == "device" and settings.strategy == "multiworker":
        raise ValueError("on several hosts images='device' is not possible: use 'host'")
    if settings.images == "auto":
        return backend.has_accelerator() and settings.strategy != "multiworker"
    return settings.images == "device"


def training_data(dataset, settings, targets=None):
    """The `TrainingData` of a training.

    Args:
      dataset, settings: as for `train`.
      targets: a `keras_kd.data.training_data.TeacherTargets`, or None.
    """
    schedule = batch_schedule(dataset, settings, targets.views if targets else 0)
    on_device = images_on_device(dataset, settings)
    return TrainingData(dataset, schedule, targets, on_device, settings.label_smoothing)


def compile_arguments(data):
    """`{"loss": ..., "metrics": [...]}` of a `TrainingData`'s labels, as `compile` takes them.

    Accuracy is how often the labelled class is named, or of shares of classes the one with the largest; where
    labels say yes or no of each class, how often that is decided alike.
    """
    if is_multi_label(data.dataset):
        if data.has_soft_labels:
            raise ValueError(
                f"labels that say yes or no of each class are neither mixed nor smoothed. "
                f"Received: augmentation={data.schedule.augmentation.spec!r}, "
                f"label_smoothing={data.label_smoothing}"
            )
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        return {"loss": loss, "metrics": [keras.metrics.MeanMetricWrapper(right_decisions, name="accuracy")]}
    if data.has_soft_labels:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        return {"loss": loss, "metrics": [keras.metrics.CategoricalAccuracy(name="accuracy")]}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"loss": loss, "metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]}


class TrainingExamples(keras.utils.PyDataset):
    """The training images once, in order, normalised and not augmented, with their labels.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      batch_size: examples at a time, at the most; None: `lazy_images.at_once`.
    """

    def __init__(self, dataset, batch_size=None):
        super().__init__()
        self._dataset = dataset
        self._batch_size = batch_size or lazy_images.at_once(dataset.image_shape)

    def __len__(self):
        return -(-len(self._dataset.train.labels) // self._batch_size)

    def __getitem__(self, step):
        part = slice(step * self._batch_size, (step + 1) * self._batch_size)
        split = self._dataset.train
        images = augmentation.normalise(split.images[part], self._dataset.mean, self._dataset.std)
        return images, split.labels[part]


_LATEST_IMAGES = {}  # so that networks that are trained one after the other share them


def device_images_of(data, settings):
    """The `DeviceImages` of a `TrainingData`, or None where its images are not on the device.

    Made inside `strategy.scope(settings)`.
    """
    if not data.on_device:
        return None
    dataset, drawn = data.dataset, data.schedule.augmentation
    devices = (settings.strategy, settings.replicas, keras.distribution.distribution())
    key = (dataset.fingerprint, drawn.spec, *devices)
    if key not in _LATEST_IMAGES:
        _LATEST_IMAGES.clear()
        _LATEST_IMAGES[key] = device_images.DeviceImages(dataset, drawn)
    return _LATEST_IMAGES[key]


def check_given(model, dataset, settings, removal, role="network"):
    """Raises a ValueError for what cannot be trained, or not so; arguments as for `trainer.train`."""
    network_checks.check_fits(model, dataset, role)
    if not isinstance(settings, config.Settings):
        raise ValueError(f"settings must be a keras_kd.training.Settings. Received: {limits.shown(settings)}")
    if removal is not None and not isinstance(removal, ShortcutRemoval):
        raise ValueError(
            f"shortcut_removal must be what keras_kd.distillation.shortcut_removal.make returns. "
            f"Received: {limits.shown(removal)}"
        )
    (removal or NoRemoval()).check_student(model, independent=is_multi_label(dataset))
