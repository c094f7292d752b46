"""What every exported file computes: raw uint8 images to logits, probabilities and class; with TensorFlow."""

import keras
import numpy as np

from keras_kd.data import augmentation
from keras_kd.data.dataset import is_multi_label
from keras_kd.models import network_checks, outputs, rebuilding


def serving(network, dataset=None):
    """What every exported file computes, with the normalisation inside.

    Args:
      network: a `keras.Model` from normalised images to logits, see `serving_network`.
      dataset: as for `saved_model.to_saved_model`.

    Returns:
      A function from images `[n, height, width, channels]`, pixel values 0 to 255 of any type, to `logits`
      and `probabilities`, float32 `[n, classes]`, and `class_id`, int64 `[n]`, the likeliest class. Where
      labels say yes or no of each class, so do the probabilities.
    """
    import tensorflow as tf

    shape = (None, *image_shape(network, dataset))

    def serve(image):
        image = tf.ensure_shape(image, shape)  # a signature does not refuse other sizes
        logits = network(normalised(image, dataset), training=False)
        return {
            "logits": logits,
            "probabilities": tf.nn.sigmoid(logits) if is_multi_label(dataset) else tf.nn.softmax(logits),
            "class_id": tf.argmax(logits, axis=-1),
        }

    return serve


def write_graph(network, path, dataset=None, *, batch=None, dtype="uint8"):
    """Writes the SavedModel of `serving`, with one signature, `serving_default`.

    Args:
      network, dataset: as for `serving`.
      path: of the folder, which must not exist.
      batch: number of images at a time; None: any.
      dtype: of the pixels.
    """
    import tensorflow as tf

    signature = tf.TensorSpec((batch, *image_shape(network, dataset)), dtype, name="image")
    module = tf.Module()  # Keras's own ExportArchive writes each variable twice
    module.variables_of_network = [variable.value for variable in network.variables]
    module.serve = tf.function(serving(network, dataset), input_signature=[signature])
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})


def in_batches(function, size):
    """A function of any number of images, from one of exactly `size`: the last image fills up a batch."""

    def run(images):
        missing = np.repeat(images[-1:], -len(images) % size, axis=0)
        padded = np.concatenate([images, missing])
        parts = [function(padded[start : start + size]) for start in range(0, len(padded), size)]
        return np.concatenate(parts)[: len(images)]

    return run


def serving_network(model, dataset=None):
    """The model itself if it computes logits in float32, else one of the same weights that does.

    Networks trained in bfloat16 are refused by other runtimes.

    Args:
      model: a functional or sequential `keras.Model`.
      dataset: as for `serving`; where its labels say yes or no of each class, the model may end in sigmoid.

    Raises:
      ValueError: for probabilities whose logits cannot be had, see `outputs.with_logits`.
    """
    return rebuilding.in_float32(outputs.with_logits(model, independent=is_multi_label(dataset)))


def normalised(images, dataset):
    """What a network is given: images in float32, normalised as the dataset says, or as they are."""
    if dataset is None:
        return keras.ops.cast(images, "float32")
    if hasattr(dataset, "scaled"):  # in a way of the network's own
        return dataset.scaled(images)
    return augmentation.normalise(images, dataset.mean, dataset.std)


def image_shape(model, dataset=None):
    """`(height, width, channels)` of what a model takes.

    Raises:
      ValueError: for what is no network, or does not fit the dataset; see `network_checks.check_fits`.
    """
    if dataset is not None:
        network_checks.check_fits(model, dataset, "model")
        return dataset.image_shape
    network_checks.check_network(model, "model")
    return tuple(model.input_shape[1:])
