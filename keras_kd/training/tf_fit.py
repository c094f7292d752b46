"""`fit` under TensorFlow: on one device, on the replicas of one machine, or on several hosts."""

import functools

import keras
import tensorflow as tf

from keras_kd.data import tf_pipeline
from keras_kd.training.distributed import loop, validation


def fit(model, dataset, plan, *, teacher, places, callbacks, initial_epoch, epochs, together):
    """Trains a model on the batches of a plan; the validation split is measured after each epoch.

    Args:
      model: a compiled `keras.Model`.
      dataset: a `keras_kd.data.Dataset`.
      plan: a `keras_kd.data.sampling.BatchSchedule`.
      teacher: a `keras_kd.distillation.teacher_cache.TeacherLogits`, or None.
      places: whether the model takes places (see `feeding`) instead of images.
      callbacks, initial_epoch, epochs: as for `keras.Model.fit`.
      together: whether other hosts train the same model.

    Raises:
      ValueError: if the hosts do not begin with the same epoch.
    """
    batches = functools.partial(
        tf_pipeline.batches,
        dataset,
        plan,
        epochs=epochs,
        initial_epoch=initial_epoch,
        teacher=teacher,
        places=places,
    )
    options = {
        "callbacks": [validation.Validation(dataset, teacher=teacher, places=places), *callbacks],
        "steps_per_epoch": plan.steps,
        "epochs": epochs,
        "initial_epoch": initial_epoch,
    }
    if together:
        _agree(initial_epoch)
        loop.fit(model, batches, **options)
    elif initial_epoch >= epochs:  # `fit` under a strategy would ask for a first batch, and there is none
        done = keras.callbacks.CallbackList(options["callbacks"], model=model, epochs=epochs)
        done.on_train_begin()
        done.on_train_end()
    else:
        model.fit(batches(), shuffle=False, verbose=0, **options)  # the plan shuffles


def wait_for_all():
    """Returns when every host has come here."""
    loop.gather(tf.distribute.get_strategy(), 0)


def _agree(initial_epoch):
    found = loop.gather(tf.distribute.get_strategy(), initial_epoch)
    if len(set(found)) > 1:
        raise ValueError(
            f"the hosts do not find the same checkpoints: put the run's folder where all see it. "
            f"Received: epochs {found.tolist()}"
        )
