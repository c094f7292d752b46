"""What a network answers, on any backend: as a compiled function, and for a split of a dataset."""

import keras
import numpy as np

from keras_kd.data import augmentation, lazy_images
from keras_kd.data.dataset import is_multi_label
from keras_kd.models import outputs


def compiled(model):
    """The network in inference mode, compiled, on one device; nothing of it changes.

    Weights that are assigned later are not sure to be seen: ask again.

    Args:
      model: a built `keras.Model` with one input and one output.

    Returns:
      A function from a batch of inputs to the output, a tensor of the backend.
    """
    return _COMPILERS.get(keras.backend.backend(), _as_it_is)(model)


def _with_tensorflow(model):
    import tensorflow as tf

    return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)


def _with_jax(model):
    import jax

    def outputs(trainable, non_trainable, inputs):
        return model.stateless_call(trainable, non_trainable, inputs, training=False)[0]

    run = jax.jit(outputs)
    state = [
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    return lambda inputs: run(*state, inputs)


def _as_it_is(model):
    return lambda inputs: model(inputs, training=False)


_COMPILERS = {"tensorflow": _with_tensorflow, "jax": _with_jax}


def logits(model, dataset, split, batch_size=None):
    """A network's logits for every example of a split, once, in order.

    Computed on one device of this host, so that any number of replicas sees each example once.

    Args:
      model: a `keras.Model`; one that ends in softmax is asked for what comes before.
      dataset: a `keras_kd.data.Dataset`.
      split: "train", "validation" or "test".
      batch_size: examples at a time, at the most; the batches are of nearly equal size. None:
        `lazy_images.at_once`.

    Returns:
      float64 `[n, classes]`.

    Raises:
      ValueError: see `outputs.with_logits`.
    """
    images = getattr(dataset, split).images
    batch_size = batch_size or lazy_images.at_once(dataset.image_shape)
    forward = compiled(outputs.with_logits(model, independent=is_multi_label(dataset)))
    answers = [
        keras.ops.convert_to_numpy(forward(augmentation.normalise(part, dataset.mean, dataset.std)))
        for part in lazy_images.batches(images, batch_size)
    ]
    return np.concatenate(answers).astype(np.float64)


def answers(logits, multi_label=False):
    """What logits `[n, classes]` say: the class, int `[n]`, or yes or no of each, bool `[n, classes]`."""
    return logits > 0 if multi_label else logits.argmax(axis=1)


def right_answers(logits, labels):
    """Whether logits `[n, classes]` say what labels do: bool `[n]`, or of each class, as the labels."""
    return answers(logits, np.ndim(labels) == 2) == labels


def log_probabilities(logits):
    """Logarithms of the classes' probabilities, float64 `[n, classes]`, from logits of that shape."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
