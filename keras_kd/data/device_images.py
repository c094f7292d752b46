"""Training images that lie on the device and are augmented there; batches name them by their index.

All that goes to the device in a step are a few numbers an example, and its label.

    images = DeviceImages(dataset, schedule.augmentation)
    student_on_device = with_device_input(student, images)
"""

import keras
import numpy as np
from keras import ops

# Names an example among the stored images; beside it stand the augmentation's parameters.
INDEX = "index"


class DeviceImages(keras.layers.Layer):
    """From an index and parameters to images: looks them up, augments and normalises them.

    Training images come first, then those of validation.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      augmentation: a `keras_kd.data.augmentation.Augmentation`.
    """

    def __init__(self, dataset, augmentation):
        super().__init__(name="images", trainable=False, dtype="float32", autocast=False)
        stored = np.concatenate([dataset.train.images[:], dataset.validation.images[:]])
        self._images = keras.Variable(stored, dtype="uint8", trainable=False, name="images", autocast=False)
        self._mean, self._std = dataset.mean, dataset.std
        self._augmentation = augmentation
        self.built = True

    @property
    def weights(self):
        """None: what copies or saves the weights of a network leaves the images alone."""
        return []

    def inputs(self):
        """`{name: keras.Input}`, one number an example each."""
        dtypes = {INDEX: "int32", **self._augmentation.fields}
        return {name: keras.Input((), dtype=dtype, name=name) for name, dtype in dtypes.items()}

    def call(self, batch):
        """`{INDEX: int32 [batch], field: [batch]}` to float32 `[batch, height, width, channels]`."""
        dtypes = {INDEX: "int32", **self._augmentation.fields}
        # On replicas Keras tries a step on the mean of their batches, which is no index.
        params = {name: ops.cast(batch[name], dtype) for name, dtype in dtypes.items()}
        return self._augmentation.fetch_and_apply(
            lambda places: ops.take(self._images, places, axis=0),
            params.pop(INDEX),
            params,
            self._mean,
            self._std,
        )

    def compute_output_spec(self, batch):
        return keras.KerasTensor((None, *self._images.shape[1:]), "float32")


def with_device_input(network, images):
    """A network that takes indices; it shares its weights with `network`, which takes images.

    Args:
      network: a `keras.Model` with one output.
      images: a `DeviceImages`.
    """
    inputs = images.inputs()
    return keras.Model(inputs, network(images(inputs)), name=network.name)


def validation_inputs(data, start, stop):
    """Validation examples as `DeviceImages` takes them, in order, not augmented.

    Args:
      data: a `keras_kd.data.training_data.TrainingData`.
      start, stop: positions of the first example and after the last one.
    """
    index = np.arange(start, stop, dtype=np.int32) + np.int32(len(data.dataset.train.labels))
    return {INDEX: index, **data.schedule.augmentation.neutral(len(index))}
