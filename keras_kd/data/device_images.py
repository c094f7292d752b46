"""Training images that lie on the device and are augmented there; batches name them by their places.

All that goes to the device in a step are four whole numbers an example, and its label.

    images = Images(dataset)
    student_on_places = fed(student, images)
"""

import keras
import numpy as np
from keras import ops

from keras_kd.data import augmentation

# What an example is named by; each int32 `[batch]`. See `sampling.AugmentParams`.
PLACE = ("index", "rows", "columns", "mirrored")


class DeviceImages(keras.layers.Layer):
    """From places to images: looks them up, moves, mirrors and normalises them.

    Training images come first, then those of validation.

    Args:
      dataset: a `keras_kd.data.Dataset`.
    """

    def __init__(self, dataset):
        super().__init__(name="images", trainable=False, dtype="float32", autocast=False)
        stored = np.concatenate([dataset.train.images, dataset.validation.images])
        self._images = keras.Variable(stored, dtype="uint8", trainable=False, name="images", autocast=False)
        self._mean, self._std = dataset.mean, dataset.std
        self.built = True

    @property
    def weights(self):
        """None: what copies or saves the weights of a network leaves the images alone."""
        return []

    def call(self, places):
        """`{name of PLACE: int32 [batch]}` to float32 `[batch, height, width, channels]`."""
        index, *moves = (places[name] for name in PLACE)
        return augmentation.augment(ops.take(self._images, index, axis=0), *moves, self._mean, self._std)

    def compute_output_spec(self, places):
        return keras.KerasTensor((None, *self._images.shape[1:]), "float32")


def with_device_input(network, images):
    """A network that takes places; it shares its weights with `network`, which takes images.

    Args:
      network: a `keras.Model` with one output.
      images: an `Images`.
    """
    places = {name: keras.Input((), dtype="int32", name=name) for name in PLACE}
    return keras.Model(places, network(images(places)), name=network.name)


def validation_places(dataset, start, stop):
    """The places of some validation examples, in order, unmoved: `{name of PLACE: int32 [n]}`."""
    index = np.arange(start, stop, dtype=np.int32) + np.int32(len(dataset.train.labels))
    return dict.fromkeys(PLACE, np.zeros_like(index)) | {"index": index}


def fit(model, dataset, plan, *, teacher, callbacks, initial_epoch, epochs):
    """Trains a model on places, with any backend of Keras; validation is measured after each epoch.

    Args:
      model: a compiled `keras.Model` around `fed` networks.
      dataset: the `keras_kd.data.Dataset` of their `Images`.
      plan: a `keras_kd.data.sampling.BatchSchedule`.
      teacher: a `keras_kd.distillation.teacher_cache.TeacherLogits`, or None.
      callbacks, initial_epoch, epochs: as for `keras.Model.fit`.
    """
    batches = _Training(dataset, plan, teacher)
    go_to = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.go_to(epoch))
    model.fit(
        batches,
        validation_data=_Validation(dataset, teacher),
        callbacks=[go_to, *callbacks],
        initial_epoch=initial_epoch,
        epochs=epochs,
        shuffle=False,  # the plan does that
        verbose=0,
    )


class _Training(keras.utils.PyDataset):
    """The batches of one epoch.

    Which one is said by a callback: `fit` calls `on_epoch_end` also where no epoch has ended.
    """

    def __init__(self, dataset, plan, teacher):
        super().__init__()
        self._labels = dataset.train.labels
        self._plan = plan
        self._teacher = teacher
        self.go_to(0)

    def go_to(self, epoch):
        self._view, self._epoch = self._plan.view_of(epoch), self._plan.epoch(epoch)

    def __len__(self):
        return self._plan.steps

    def __getitem__(self, step):
        index = self._epoch.index[step]
        labels = self._labels[index]
        if self._teacher is not None:
            logits = self._teacher.train(self._view, index)
            labels = {"labels": labels, "teacher_logits": logits}
        moves = [values[step] for values in self._epoch.moves]
        return dict(zip(PLACE, (index, *moves), strict=True)), labels


class _Validation(keras.utils.PyDataset):
    """Every validation example once, unmoved."""

    def __init__(self, dataset, teacher, batch_size=256):
        super().__init__()
        self._dataset = dataset
        self._labels = dataset.validation.labels
        self._teacher = teacher
        self._batch_size = batch_size

    def __len__(self):
        return -(-len(self._labels) // self._batch_size)

    def __getitem__(self, step):
        start = step * self._batch_size
        labels = self._labels[start : start + self._batch_size]
        stop = start + len(labels)
        if self._teacher is not None:
            labels = {"labels": labels, "teacher_logits": self._teacher.validation(start, stop)}
        return validation_places(self._dataset, start, stop), labels
