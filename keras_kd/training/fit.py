"""`fit` on the batches of a schedule, on whatever backend and however many devices.

The one place that chooses: TensorFlow reads a `tf.data` pipeline, on several hosts in a loop of its own;
other backends read a `keras.utils.PyDataset`.
"""

import functools

import keras

from keras_kd.data import lazy_images, py_datasets
from keras_kd.training import config
from keras_kd.utils import backend


def fit(model, data, *, callbacks, epochs, initial_epoch=0, several_hosts=False, averaged=None):
    """Trains a compiled model; validation is measured after each epoch, every example once.

    Args:
      model: a compiled `keras.Model`; with images on the device, around networks `with_device_input`.
      data: a `keras_kd.data.training_data.TrainingData`.
      callbacks, epochs, initial_epoch: as for `keras.Model.fit`.
      several_hosts: whether other hosts train the same model.
      averaged: the `weights_at_end.AveragedWeights` among the callbacks, with which validation is measured.

    Raises:
      ValueError: if the hosts do not begin with the same epoch.
      BadImageError: if an image cannot be read.
    """
    with lazy_images.named_failures(data.dataset.train, data.dataset.validation):
        if backend.on_tensorflow():
            _fit_with_tensorflow(model, data, callbacks, epochs, initial_epoch, several_hosts, averaged)
        else:
            _fit_with_py_dataset(model, data, callbacks, epochs, initial_epoch)


def _fit_with_tensorflow(model, data, callbacks, epochs, initial_epoch, several_hosts, averaged):
    from keras_kd.data import tf_pipeline
    from keras_kd.training.distributed import loop, validation

    batches = functools.partial(tf_pipeline.batches, data, epochs=epochs, initial_epoch=initial_epoch)
    options = {
        "callbacks": [validation.Validation(data, averaged=averaged), *callbacks],
        "steps_per_epoch": data.schedule.steps,
        "epochs": epochs,
        "initial_epoch": initial_epoch,
    }
    if several_hosts:
        loop.check_same_epoch(initial_epoch)
        loop.fit(model, batches, **options)
    elif initial_epoch >= epochs:  # `fit` under a strategy would ask for a first batch, and there is none
        done = keras.callbacks.CallbackList(options["callbacks"], model=model, epochs=epochs)
        done.on_train_begin()
        done.on_train_end()
    else:
        model.fit(batches(), shuffle=False, verbose=0, **options)  # the schedule shuffles


def _fit_with_py_dataset(model, data, callbacks, epochs, initial_epoch):
    batches = py_datasets.TrainingBatches(data)
    go_to = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.go_to(epoch))
    model.fit(
        batches,
        validation_data=py_datasets.ValidationBatches(data),
        callbacks=[go_to, *callbacks],
        initial_epoch=initial_epoch,
        epochs=epochs,
        shuffle=False,  # the schedule does that
        verbose=0,
    )


def steps_per_execution(settings, steps_per_epoch):
    """How many steps are taken without asking Python.

    Raises:
      ValueError: if it does not divide the steps of an epoch: Keras would go on into the next one.
    """
    wanted = settings.steps_per_execution
    if wanted and steps_per_epoch % wanted:
        raise ValueError(
            f"steps_per_execution must divide the {steps_per_epoch} steps of an epoch. Received: {wanted}"
        )
    if not wanted and backend.has_accelerator():
        return max(n for n in range(1, config.MANY_STEPS + 1) if steps_per_epoch % n == 0)
    return wanted or 1
