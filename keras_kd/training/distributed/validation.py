"""The validation split measured after each epoch, every example once on any number of replicas.

Keras cuts each evaluation batch itself and fails where a replica gets nothing, so not every size
of a split can be measured. Here each replica has a share of the split that is its own.
"""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf

from keras_kd.data import lazy_images, tf_pipeline


class Validation(keras.callbacks.Callback):
    """Adds `val_loss` and all other metrics of the validation split to the epoch's logs.

    Stands before every callback that reads them. On several hosts each of them needs it.

    Args:
      data: a `keras_kd.data.training_data.TrainingData`.
      batch_size: examples of a replica at a time, at the most; None: `lazy_images.at_once`.
      averaged: a context inside which the model has the weights to measure; None: it has them.

    Raises:
      ValueError: if there are fewer examples than replicas.
    """

    def __init__(self, data, batch_size=None, averaged=None):
        super().__init__()
        self._averaged = averaged or contextlib.nullcontext()
        self._data = data
        self._count = len(data.dataset.validation.labels)
        self._batch_size = batch_size or lazy_images.at_once(data.dataset.image_shape)

    def on_train_begin(self, logs=None):
        strategy = tf.distribute.get_strategy()

        def test_step(batch):  # without collectives: replicas may have batches of any size
            strategy.run(self.model.test_step, args=(batch,))

        self._test_step = tf.function(test_step, reduce_retracing=True)
        replicas = strategy.num_replicas_in_sync
        if self._count < replicas:
            raise ValueError(f"{replicas} replicas need as many validation examples. Received: {self._count}")

    def on_epoch_end(self, epoch, logs=None):
        self.model.reset_metrics()
        with self._averaged:
            for batch in self._shares(tf.distribute.get_strategy()):
                self._test_step(batch)
        logs.update({f"val_{name}": float(value) for name, value in self.model.get_metrics_result().items()})

    def _shares(self, strategy):
        """The validation split in as many batches for each replica, of nearly equal size."""
        replicas = strategy.num_replicas_in_sync
        steps = -(-self._count // (replicas * self._batch_size))
        bounds = np.linspace(0, self._count, replicas * steps + 1).astype(int)

        @functools.cache
        def batch(index):
            start, stop = bounds[index : index + 2]
            with tf.device("CPU"):
                return tf_pipeline.validation_examples(self._data, start, stop)

        def part(context, place, step):
            return tf.nest.flatten(batch(context.replica_id_in_sync_group * steps + step))[place]

        for step in range(steps):
            structure = batch(step)
            parts = [
                strategy.experimental_distribute_values_from_function(
                    functools.partial(part, place=place, step=step)
                )
                for place in range(len(tf.nest.flatten(structure)))
            ]
            yield tf.nest.pack_sequence_as(structure, parts)
            batch.cache_clear()
