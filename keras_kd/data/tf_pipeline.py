"""From `TrainingData` to batches in a `tf.data.Dataset`."""

import keras
import numpy as np
import tensorflow as tf

from keras_kd.data import augmentation, lazy_images
from keras_kd.data.device_images import INDEX, validation_inputs
from keras_kd.data.training_data import with_logits


def batches(data, *, epochs, initial_epoch=0, shards=1, own=range(1)):
    """Training batches, epoch after epoch.

    Args:
      data: a `keras_kd.data.training_data.TrainingData`.
      epochs: the epoch to stop before.
      initial_epoch: the epoch to begin with.
      shards: into how many equal parts each batch is cut.
      own: the range of those that come out, one after the other; the others are never read.

    Returns:
      A `tf.data.Dataset` of (float32 `[batch, height, width, channels]`, labels), where batch is the
      schedule's `batch_size / shards` and labels are as `TrainingData.labels` says. With images on the device
      they are named instead of shown: see `device_images.DeviceImages`.
    """
    dataset, schedule = data.dataset, data.schedule
    with tf.device("CPU"):
        labels = tf.constant(dataset.train.labels)
        images = None if data.on_device else _gatherer(dataset.train.images)
    fields = schedule.augmentation.fields
    size = schedule.batch_size // shards

    def one_hot(places):
        return tf.one_hot(tf.gather(labels, places), dataset.num_classes)

    def one_epoch(epoch):
        dtypes = [tf.int32, *map(tf.as_dtype, fields.values())]
        index, *params = _asked(of_shards, [epoch], dtypes)
        index, *params = (tf.ensure_shape(values, (None, size)) for values in (index, *params))
        steps = tf.data.Dataset.from_tensor_slices((index, dict(zip(fields, params, strict=True))))
        view = schedule.view_of(epoch)
        return steps.map(lambda *step: batch(view, *step), num_parallel_calls=tf.data.AUTOTUNE)

    def of_shards(epoch):
        index, params = schedule.epoch(int(epoch))
        return [_cut(values, shards, own) for values in (index, *(params[field] for field in fields))]

    def batch(view, index, params):
        if data.on_device:
            x = {INDEX: index, **params}
        else:
            x = schedule.augmentation.fetch_and_apply(images, index, params, dataset.mean, dataset.std)
        y = tf.gather(labels, index)
        if data.has_soft_labels:
            y = data.soft_labels(one_hot, index, params)
        if data.targets is None:
            return x, y
        logits = _asked(data.targets.train, [view, index], tf.float32)
        return x, with_logits(y, tf.ensure_shape(logits, (size, dataset.num_classes)))

    epoch_numbers = tf.data.Dataset.range(initial_epoch, epochs)
    return epoch_numbers.flat_map(one_epoch).prefetch(tf.data.AUTOTUNE)


def _gatherer(images):
    """A function from positions, an integer tensor `[n]`, to images, uint8 `[n, height, width, channels]`."""
    if not lazy_images.is_lazy(images):
        constant = tf.constant(images)
        return lambda index: tf.gather(constant, index)

    def read(index):  # several at a time: decoders let other threads run
        batch = _asked(images.__getitem__, [index], tf.uint8)
        return tf.ensure_shape(batch, (*index.shape, *images.shape[1:]))

    return read


def _asked(function, inputs, dtypes):
    """What a function of NumPy arrays answers; it is pure, so that deterministic runs may ask in parallel."""
    return tf.numpy_function(function, inputs, dtypes, stateful=False)


def _cut(values, shards, own):
    """`[steps, batch]` to the own shards of each batch, `[steps * len(own), batch / shards]`."""
    parts = values.reshape(len(values), shards, -1)[:, own.start : own.stop]
    return np.ascontiguousarray(parts.reshape(-1, parts.shape[-1]))


def validation_examples(data, start, stop):
    """Some validation examples, in order, not augmented: inputs and labels as in `batches`.

    Args:
      data: a `keras_kd.data.training_data.TrainingData`.
      start, stop: positions of the first example and after the last one.
    """
    y = keras.tree.map_structure(tf.constant, data.validation_labels(start, stop))
    if data.on_device:
        return keras.tree.map_structure(tf.constant, validation_inputs(data, start, stop)), y
    dataset = data.dataset
    return augmentation.normalise(dataset.validation.images[start:stop], dataset.mean, dataset.std), y
