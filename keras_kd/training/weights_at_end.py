"""Which weights a network has at the end: the last ones, their moving average, or those of the best epoch."""

import contextlib

import keras
import numpy as np

from keras_kd.models import weights
from keras_kd.utils import progress


class AveragedWeights(keras.callbacks.Callback):
    """Puts the optimiser's moving average of the weights into the network: for validation, and at the end.

    Between, the network has the weights that are trained, bit for bit. BatchNorm's statistics are not
    averaged.

        with averaged_weights:
            measure(network)
    """

    def __enter__(self):
        self._trained = self._read()
        self._average()
        return self

    def __exit__(self, *error):
        self._assign(self._trained)

    def on_test_begin(self, logs=None):
        self.__enter__()

    def on_test_end(self, logs=None):
        self.__exit__()

    def on_train_end(self, logs=None):
        self._average()

    def _average(self):
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        self._assign(self._read())  # on JAX both would be one array, which the next step deletes

    def _read(self):
        return list(weights.read_variables(self.model.trainable_variables).values())

    def _assign(self, values):
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value)


class StopEarly(keras.callbacks.EarlyStopping):
    """Ends a training after `patience` epochs without a better validation accuracy; keeps the best weights.

    Its state is in its public attributes, which checkpoints have.

    Args:
      patience: epochs.
      variables: the Keras variables that get their values of the best epoch at the end.
      averaged: the `AveragedWeights` that count, or None.
    """

    def __init__(self, patience, variables, averaged=None):
        super().__init__("val_accuracy", mode="max", patience=patience)
        self._variables = variables
        self._averaged = averaged or contextlib.nullcontext()

    def on_epoch_end(self, epoch, logs=None):
        before = self.best
        super().on_epoch_end(epoch, logs)
        if self.best != before:
            with self._averaged:
                self.best_weights = list(weights.read_variables(self._variables).values())

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if self.best_weights is not None:
            for variable, value in zip(self._variables, self.best_weights, strict=True):
                variable.assign(np.asarray(value))


def selects_epoch(settings, loses_shortcuts):
    """Whether the best epoch on validation is kept, and not the last.

    Args:
      settings: a `config.Settings`.
      loses_shortcuts: whether the network does so on the way, so that no earlier epoch will do.
    """
    return bool(settings.early_stopping) and not loses_shortcuts


def kept_epoch(accuracies, selects):
    """The place of the epoch whose weights are kept: the last, or the first of the best.

    Args:
      accuracies: on validation, after each epoch.
      selects: see `selects_epoch`.
    """
    return int(np.argmax(accuracies)) if selects else len(accuracies) - 1


def callbacks_of(settings, network, label, loses_shortcuts):
    """The callbacks of a training that choose its last weights; they stand before those that read weights.

    Args:
      settings: a `config.Settings`.
      network: that is trained.
      label: what it is called.
      loses_shortcuts: see `selects_epoch`.

    Returns:
      `(averaged, callbacks)`; the first is the `AveragedWeights` among them, or None.
    """
    averaged = AveragedWeights() if settings.ema else None
    chosen = [averaged] if averaged else []
    if selects_epoch(settings, loses_shortcuts):
        chosen.append(StopEarly(settings.early_stopping, network.weights, averaged))
    elif settings.early_stopping:
        progress.say(f"note: {label} loses its shortcuts on the way, so it is trained to the last epoch")
    return averaged, chosen
