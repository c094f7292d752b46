"""What a network in training would be without its shortcuts, epoch by epoch."""

import contextlib
import dataclasses

import keras
import numpy as np
from keras import ops

from keras_kd.data import augmentation, lazy_images
from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import shortcut_removal
from keras_kd.models import fading, inference, outputs, weights
from keras_kd.reporting.training_curves import GATE, WITHOUT_SHORTCUTS
from keras_kd.training.distributed.strategy import scope
from keras_kd.training.inputs import batch_schedule
from keras_kd.utils import backend, progress, seeding

# The option that is a network or the path of its file.
_START = "start_from"


class WithoutShortcuts(keras.callbacks.Callback):
    """Writes what is left of a network into the student after each epoch, and logs how good that is.

    Stands before the callbacks that read logs or the student's weights. Where the network has a gate, it adds
    to the logs `gate`, how much of the shortcuts is left, and `val_accuracy_without_shortcuts`. A training
    that was never one without shortcuts is noted.

    Args:
      removal: a `keras_kd.distillation.shortcut_removal.ShortcutRemoval`.
      network: what is trained, of `removal.start`.
      student: gets what is left.
      dataset: a `keras_kd.data.Dataset`.
      batch_size: validation examples at a time, at the most; None: `lazy_images.at_once`.

    Attributes:
      averaged: the `weights_at_end.AveragedWeights` with which validation is measured, or None.
    """

    averaged = None

    @property
    def loses_shortcuts(self):
        """Whether earlier epochs are of a network that still has some."""
        return self._removal.changes_function

    def __init__(self, removal, network, student, dataset, batch_size=None):
        super().__init__()
        self._removal, self._network, self._student = removal, network, student
        self._dataset = dataset
        self._batch_size = batch_size or lazy_images.at_once(dataset.image_shape)
        scores = _scores(student, dataset)
        self._variables = (scores.trainable_variables, scores.non_trainable_variables)
        self._forward = backend.compile_function(
            lambda state, images: scores.stateless_call(*state, images, training=False)[0]
        )

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:  # what would be left of it now, which need not be what the student began with
            self._removal.finish(self._network, self._student)

    def on_epoch_end(self, epoch, logs=None):
        if self._removal.changes_function:
            logs[GATE] = self._removal.gate(self._network)
            logs[WITHOUT_SHORTCUTS] = self._averaged_accuracy() if logs[GATE] else logs["val_accuracy"]
        self._removal.finish(self._network, self._student)

    def on_train_end(self, logs=None):
        self._removal.conclude(self._network, self._student)  # also where every epoch was trained before
        gate = fading.mean_gate(self._network, ago=1)
        if gate:
            progress.note(
                f"the last step had gate {gate:.2g}: what is left was never trained without shortcuts, and "
                f"its accuracy on validation is {self._accuracy():.1%}; let the gates close before the end"
            )

    def _averaged_accuracy(self):
        with self.averaged or contextlib.nullcontext():
            self._removal.finish(self._network, self._student)
        return self._accuracy()

    def _accuracy(self):
        """That of the student on validation."""
        split = self._dataset.validation
        state = [[ops.convert_to_tensor(variable) for variable in each] for each in self._variables]
        parts = lazy_images.batches(split.images, self._batch_size)
        logits = np.concatenate([self._logits(state, part) for part in parts])
        return float(np.mean(inference.right_answers(logits, split.labels)))

    def _logits(self, state, images):
        images = augmentation.normalise(images, self._dataset.mean, self._dataset.std)
        return ops.convert_to_numpy(self._forward(state, images))


def in_place_of(student, removal, dataset, settings, teacher=None):
    """The network that is trained, what its way adds to the loss, and what brings the rest to the student.

    Returns:
      `(network, terms, callbacks)`; the terms are of the Distiller, and none without a teacher.
    """
    if removal is None:
        return student, [], []
    steps = settings.epochs * batch_schedule(dataset, settings).steps
    with scope(settings), seeding.initial_weights(settings.seed):
        network = removal.start(student, steps, teacher)
        terms = removal.terms(network, _scores(teacher, dataset), steps) if teacher else []
        if not removal.trains_another:
            return student, terms, []
        return network, terms, [WithoutShortcuts(removal, network, student, dataset)]


def removal_identity(removal, network):
    """`{name: JSON value}`: what a checkpoint must have in common with the training that goes on from it.

    Args:
      removal: a `ShortcutRemoval`, or None.
      network: what is trained in the student's place, as `in_place_of` returns it.
    """
    removal = removal or shortcut_removal.NoRemoval()
    starts = _starts_of(removal)
    text = shortcut_removal.format_spec(removal, without=starts)
    return {"shortcut_removal": f"{text} from weights {weights.digest(network)}" if starts else text}


def _starts_of(removal):
    """The options that name a network to begin with: its weights count, not where they lie."""
    options = {
        field.name: getattr(part, field.name)
        for part in shortcut_removal.parts_of(removal)
        for field in dataclasses.fields(part)
    }
    return [
        name
        for name, value in options.items()
        if value and (name == _START or isinstance(value, keras.Model))
    ]


def _scores(network, dataset):
    return outputs.with_logits(network, independent=is_multi_label(dataset))
