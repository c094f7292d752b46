"""From a `Dataset` in memory to batches in a `tf.data.Dataset`, as a `sampling.BatchSchedule` says."""

import keras
import numpy as np
import tensorflow as tf

from keras_kd.data import augmentation
from keras_kd.data.device_images import PLACE, validation_places


def batches(dataset, plan, *, epochs, initial_epoch=0, teacher=None, places=False, shards=1, own=range(1)):
    """Training batches, epoch after epoch.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      plan: the `keras_kd.data.sampling.BatchSchedule` of a training on it.
      epochs: the epoch to stop before.
      initial_epoch: the epoch to begin with.
      teacher: the `keras_kd.distillation.teacher_cache.TeacherLogits` of the plan's views, or None.
      places: whether the examples are named by their places instead of shown: see `feeding`.
      shards: into how many equal parts each batch is cut.
      own: the range of those that come out, one after the other; the others are never read.

    Returns:
      A `tf.data.Dataset` of (float32 `[batch, height, width, channels]`, labels), where batch is
      `plan.batch_size / shards` and labels int64 `[batch]`; with a teacher the labels are
      `{"labels": ..., "teacher_logits": float32 [batch, classes]}`, as the `Distiller` takes them.
      Instead of images places are `{name of feeding.PLACE: int32 [batch]}`.
    """
    with tf.device("CPU"):
        labels = tf.constant(dataset.train.labels)
        images = None if places else tf.constant(dataset.train.images)

    def one_epoch(epoch):
        index, *moves = tf.numpy_function(of_shards, [epoch], [tf.int32] * 4)
        index, *moves = (tf.ensure_shape(values, (None, size)) for values in (index, *moves))
        steps = tf.data.Dataset.from_tensor_slices((index, tuple(moves)))
        view = plan.view_of(epoch)
        return steps.map(lambda *step: batch(view, *step), num_parallel_calls=tf.data.AUTOTUNE)

    def of_shards(epoch):
        index, moves = plan.epoch(int(epoch))
        return [_cut(values, shards, own) for values in (index, *moves)]

    def batch(view, index, moves):
        if places:
            x = dict(zip(PLACE, (index, *moves), strict=True))
        else:
            x = augmentation.augment(tf.gather(images, index), *moves, dataset.mean, dataset.std)
        y = tf.gather(labels, index)
        if teacher is None:
            return x, y
        logits = tf.numpy_function(teacher.train, [view, index], tf.float32)
        return x, _with_logits(y, tf.ensure_shape(logits, (size, dataset.num_classes)))

    size = plan.batch_size // shards
    epoch_numbers = tf.data.Dataset.range(initial_epoch, epochs)
    return epoch_numbers.flat_map(one_epoch).prefetch(tf.data.AUTOTUNE)


def _cut(values, shards, own):
    """`[steps, batch]` to the own shards of each batch, `[steps * len(own), batch / shards]`."""
    parts = values.reshape(len(values), shards, -1)[:, own.start : own.stop]
    return np.ascontiguousarray(parts.reshape(-1, parts.shape[-1]))


def _with_logits(labels, logits):
    return {"labels": labels, "teacher_logits": logits}


def validation_examples(dataset, start, stop, *, teacher=None, places=False):
    """Some validation examples, in order, unmoved: images or places, and labels, as in `batches`.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      start, stop: the places of the first example and after the last one.
      teacher, places: see `batches`.
    """
    stored = dataset.validation
    y = tf.constant(stored.labels[start:stop])
    if teacher is not None:
        y = _with_logits(y, tf.constant(teacher.validation(start, stop)))
    if places:
        return keras.tree.map_structure(tf.constant, validation_places(dataset, start, stop)), y
    return augmentation.normalise(stored.images[start:stop], dataset.mean, dataset.std), y
