"""Several devices on JAX: one program on all of them, each with its part of the batch.

with data_parallel.strategy(4).scope():
    student = keras_kd.cifar_resnet(32, shortcuts=False)

Weights lie on every device. The program computes with the whole batch: means, gradients and the statistics
of BatchNorm are those of all examples without a further word.
"""

import functools

import keras


class DataParallel(keras.distribution.DataParallel):
    """Keras's, but for batches that cannot be shared evenly: each device computes all of such a one.

    These are the last ones of a measurement.
    """

    def get_data_layout(self, data_shape):
        devices = self.device_mesh.shape[0]
        if data_shape and data_shape[0] and data_shape[0] % devices:
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)
        return super().get_data_layout(data_shape)


class DataParallelStrategy:
    """What a training asks a `tf.distribute.Strategy` for.

    Attributes:
      num_replicas_in_sync: 1: no loss and no statistics are to be summed over replicas.
      parts: how many the batch is divided into.
    """

    num_replicas_in_sync = 1

    def __init__(self, devices):
        self.parts = len(devices)
        self._distribution = DataParallel(devices=devices, auto_shard_dataset=False)

    def scope(self):
        return self._distribution.scope()


@functools.cache
def strategy(replicas):
    """The `DataParallelStrategy` on so many devices; 0: all.

    Raises:
      ValueError: if there are fewer.
    """
    devices = keras.distribution.list_devices()
    if replicas > len(devices):
        raise ValueError(
            f"JAX has {len(devices)} devices here "
            f"(XLA_FLAGS=--xla_force_host_platform_device_count={replicas} divides a CPU). "
            f"Received: replicas={replicas}"
        )
    return DataParallelStrategy(devices[: replicas or len(devices)])


def check_made_here(network, needed):
    """Raises a ValueError for a network whose weights lie on other devices than `needed`, a strategy, has."""
    parts = getattr(needed, "parts", 1)
    made = {len(weight.value.sharding.device_set) for weight in network.weights}
    if made - {parts}:
        raise ValueError(
            f"{network.name!r} was made on {max(made - {parts})} devices and is to be trained on {parts}: "
            f"make it inside `with strategy.scope(settings)`"
        )
