"""Training on several hosts: what `fit` does, step by step.

Keras's own `fit` cannot train under `MultiWorkerMirroredStrategy`. A step is still the model's
`train_step`, so that losses, terms, metrics and optimiser are those of one host.
"""

import contextlib
import functools

import keras
import tensorflow as tf

from keras_kd.training.callbacks import TrainingInterruptedError

# How the loss of a host looks to those that wait for it.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
)


def fit(model, batches, *, steps_per_epoch, epochs, initial_epoch, callbacks):
    """Trains a compiled model on every host, each on its share of each batch.

    Every host calls it with the same arguments. The logs, and with them what callbacks decide, are
    the same on all: those of the whole batches.

    Args:
      model: a compiled `keras.Model` with logits, made under a `tf.distribute.Strategy`.
      batches: a function of `shards` and `own` that returns training batches: see `tf_pipeline.batches`.
      steps_per_epoch, epochs, initial_epoch, callbacks: as for `keras.Model.fit`.

    Raises:
      TrainingInterruptedError: when another host is lost.
    """
    strategy = model.distribute_strategy
    callbacks = keras.callbacks.CallbackList(
        callbacks, model=model, epochs=epochs, steps=steps_per_epoch, verbose=0
    )

    @tf.function
    def train_step(iterator):
        strategy.run(model.train_step, args=(next(iterator),))

    model.stop_training = False
    with _noticing_losses():
        iterator = iter(
            strategy.distribute_datasets_from_function(lambda host: batches(**_shards(strategy, host)))
        )
        callbacks.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            callbacks.on_epoch_begin(epoch)
            model.reset_metrics()
            for step in range(steps_per_epoch):
                callbacks.on_train_batch_begin(step)
                train_step(iterator)
                callbacks.on_train_batch_end(step)
            # Every host has to ask: the metrics are summed over all.
            logs = {name: float(value) for name, value in model.get_metrics_result().items()}
            callbacks.on_epoch_end(epoch, logs)
            gather(strategy, epoch)  # no host goes on, or ends, while the chief saves
            if model.stop_training:
                break
        callbacks.on_train_end()


@contextlib.contextmanager
def _noticing_losses():
    try:
        yield
    except _LOST as error:
        raise TrainingInterruptedError("another host was lost") from error


def gather(strategy, value):
    """A whole number of each replica of all hosts; also where they wait for each other.

    Returns:
      int64 `[replicas]`.
    """

    with _noticing_losses():
        numbers = _gathering(strategy)(tf.constant(value, tf.int64))
    return strategy.experimental_local_results(numbers)[0].numpy()


@functools.cache
def _gathering(strategy):
    """Made once, for TensorFlow would trace each anew."""

    def of_all(number):
        return tf.distribute.get_replica_context().all_gather(number[tf.newaxis], axis=0)

    return tf.function(lambda number: strategy.run(of_all, args=(number,)))


def _shards(strategy, host):
    """A shard of each batch for each replica, and which are this host's."""
    replicas = strategy.num_replicas_in_sync
    of_each = replicas // host.num_input_pipelines
    first = host.input_pipeline_id * of_each
    return {"shards": replicas, "own": range(first, first + of_each)}


def wait_for_all():
    """Returns when every host has come here."""
    gather(tf.distribute.get_strategy(), 0)


def check_same_epoch(initial_epoch):
    """Raises a ValueError if the hosts do not begin with the same epoch."""
    found = gather(tf.distribute.get_strategy(), initial_epoch)
    if len(set(found)) > 1:
        raise ValueError(
            f"the hosts do not find the same checkpoints: put the run's folder where all see it. "
            f"Received: epochs {found.tolist()}"
        )
