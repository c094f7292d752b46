"""Batches of `TrainingData` as `keras.utils.PyDataset`, for backends other than TensorFlow.

Where images are not in memory, batches are made ahead in threads of our own: with `workers`, Keras hands
those that it made for the trial of a model on to the first epoch.
"""

import functools

import keras

from keras_kd.data import augmentation, lazy_images
from keras_kd.data.device_images import INDEX, validation_inputs


class TrainingBatches(keras.utils.PyDataset):
    """The batches of one epoch.

    Which one is said by a callback: `fit` calls `on_epoch_end` also where no epoch has ended.

    Args:
      data: a `keras_kd.data.training_data.TrainingData`.
    """

    def __init__(self, data):
        super().__init__()
        self._data = data
        self.go_to(0)

    def go_to(self, epoch):
        """Makes the batches those of an epoch."""
        schedule = self._data.schedule
        batch = functools.partial(self._made, schedule.view_of(epoch), schedule.epoch(epoch))
        if lazy_images.is_lazy(self._data.dataset.train.images) and not self._data.on_device:
            batch = lazy_images.ReadAhead(batch, schedule.steps)
        self._batch = batch

    def __len__(self):
        return self._data.schedule.steps

    def __getitem__(self, step):
        return self._batch(step)

    def _made(self, view, epoch, step):
        index = epoch.index[step]
        params = {field: values[step] for field, values in epoch.params.items()}
        labels = self._data.labels(view, index, params)
        if self._data.on_device:
            return {INDEX: index, **params}, labels
        dataset, drawn = self._data.dataset, self._data.schedule.augmentation
        images = drawn.fetch_and_apply(
            dataset.train.images.__getitem__, index, params, dataset.mean, dataset.std
        )
        return keras.ops.convert_to_numpy(images), labels


class ValidationBatches(keras.utils.PyDataset):
    """Every validation example once, not augmented.

    Args:
      data: a `keras_kd.data.training_data.TrainingData`.
      batch_size: examples at a time, at the most; None: `lazy_images.at_once`.
    """

    def __init__(self, data, batch_size=None):
        super().__init__()
        self._data = data
        self._batch_size = batch_size or lazy_images.at_once(data.dataset.image_shape)
        self._count = len(data.dataset.validation.labels)

    def __len__(self):
        return -(-self._count // self._batch_size)

    def __getitem__(self, step):
        start = step * self._batch_size
        stop = min(start + self._batch_size, self._count)
        labels = self._data.validation_labels(start, stop)
        if self._data.on_device:
            return validation_inputs(self._data, start, stop), labels
        dataset = self._data.dataset
        images = augmentation.normalise(dataset.validation.images[start:stop], dataset.mean, dataset.std)
        return keras.ops.convert_to_numpy(images), labels
