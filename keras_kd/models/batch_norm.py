"""How BatchNorm computes while a network trains: over all replicas, in one pass over memory, counted.

All of it is lent to the layers of any network and taken back: nothing of it is saved with the network.
"""

import contextlib
import dataclasses
import functools

import keras

from keras_kd.models import graph


@contextlib.contextmanager
def synchronized_batch_norm(model, replicas):
    """Lets BatchNorm, in a model or a layer, take its statistics over all replicas while it lasts."""
    norms = [part for part in graph.all_parts(model) if isinstance(part, keras.layers.BatchNormalization)]
    borrowed = [norm for norm in norms if not norm.synchronized] if replicas > 1 else []
    try:
        for layer in borrowed:
            layer.synchronized = True
        yield
    finally:
        for layer in borrowed:
            layer.synchronized = False


@contextlib.contextmanager
def fused_batch_norm(model):
    """Lets BatchNorm train and infer by TensorFlow's one operation for it while it lasts.

    Keras's own training step is a dozen operations, each a pass over the feature map: on a CPU nearly half
    of the time of a ResNet. The result is the same but for rounding, moving statistics included. In
    inference TensorFlow can join the one operation with the convolution before it. Layers that are
    synchronised, or whose channels are not last of four axes, stay as they are.
    """
    borrowed = [
        norm
        for norm in _norms(model)
        if type(norm) is keras.layers.BatchNormalization
        and not norm.synchronized
        and norm.axis in (-1, 3)
        and "call" not in vars(norm)
    ]
    try:
        for layer in borrowed:
            layer.call = _fused_call(layer)
        yield
    finally:
        for layer in borrowed:
            del layer.call


@dataclasses.dataclass
class Updates:
    """How a BatchNorm's moving averages are updated in one pass in training mode.

    Attributes:
      momentum: with which.
      count: how often: once for each call.
    """

    momentum: float
    count: int = 0


@contextlib.contextmanager
def counted_updates(layers):
    """Counts the updates of BatchNorm's moving averages while it lasts.

    A layer of momentum 1, which learns nothing of the data, has `SLOWEST` meanwhile.

    Args:
      layers: `keras.layers.BatchNormalization`s.

    Yields:
      A list of `Updates`, one for each layer, which counts the calls.
    """
    found = [Updates(min(layer.momentum, SLOWEST)) for layer in layers]
    borrowed = [(layer, layer.momentum, vars(layer).get("call")) for layer in layers]
    try:
        for layer, updates in zip(layers, found, strict=True):
            layer.momentum = updates.momentum
            layer.call = _counting_call(layer, updates)
        yield found
    finally:
        for layer, momentum, call in borrowed:
            layer.momentum = momentum
            if call is None:
                del layer.call
            else:
                layer.call = call


# Of several calls the averages are about even, and what is left of 0 is far from rounding.
SLOWEST = 0.9999


def _counting_call(layer, updates):
    as_defined = layer.call

    @functools.wraps(as_defined)
    def call(inputs, training=None, mask=None):
        updates.count += bool(training)
        return as_defined(inputs, training=training, mask=mask)

    return call


def _norms(model):
    return [layer for layer in graph.all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def _fused_call(layer):
    import tensorflow as tf

    as_defined = layer.call

    def call(inputs, training=None, mask=None):
        if mask is not None or len(inputs.shape) != 4:
            return as_defined(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        scale = tf.ones(channels) if layer.gamma is None else tf.convert_to_tensor(layer.gamma)
        offset = tf.zeros(channels) if layer.beta is None else tf.convert_to_tensor(layer.beta)
        given = {
            "x": inputs,
            "scale": tf.cast(scale, tf.float32),
            "offset": tf.cast(offset, tf.float32),
            "epsilon": layer.epsilon,
        }
        if not training or not layer.trainable:
            kept = [tf.cast(each, tf.float32) for each in (layer.moving_mean, layer.moving_variance)]
            given |= {"mean": kept[0], "variance": kept[1]}
            outputs = tf.raw_ops.FusedBatchNormV3(**given, is_training=False)[0]
            # Changes nothing, but stands between the operation and an activation: of tanh and mish TensorFlow
            # joins all three to one that its CPU kernels do not have.
            return tf.ensure_shape(outputs, outputs.shape)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            **given, mean=[], variance=[], is_training=True
        )
        count = tf.cast(tf.size(inputs) // channels, tf.float32)
        variance *= (count - 1) / count  # the operation estimates that of the population
        for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            moving.assign(moving * layer.momentum + value * (1 - layer.momentum))
        return outputs

    return call
