"""Where a network is trained: one device, several replicas of one machine, or several hosts.

with strategy.scope(settings):
    student = keras_kd.cifar_resnet(32, shortcuts=False)

`settings` is a `keras_kd.training.config.Settings`. With another backend than TensorFlow there is one
device, the backend's first, but for "data_parallel" on JAX.
"""

import contextlib
import functools
import signal
import threading

import keras

from keras_kd.models import graph
from keras_kd.training.distributed import data_parallel, watchdog
from keras_kd.utils import backend, strategies


@contextlib.contextmanager
def scope(settings):
    """Where networks and Distillers are made: under the strategy and in the precision.

    Raises:
      ValueError: if the batch cannot be shared evenly among the replicas, or for a strategy that
        this machine, or what TensorFlow has done already in this process, does not allow.
    """
    strategy, replicas = prepare(settings), parts_of_batch(settings)
    if settings.batch_size % replicas:
        raise ValueError(
            f"batch_size must be a multiple of the {replicas} replicas. "
            f"Received: batch_size={settings.batch_size}"
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        with strategy.scope():
            yield
    finally:
        keras.config.set_dtype_policy(before)


def parts_of_batch(settings):
    """Into how many parts a batch is divided: one for each replica, or device of JAX's one program."""
    strategy = prepare(settings)
    return getattr(strategy, "parts", strategy.num_replicas_in_sync)


def beside(settings):
    """Where networks are made that are asked in a training and not trained: on JAX they lie where it runs."""
    return contextlib.nullcontext() if backend.on_tensorflow() else prepare(settings).scope()


def prepare(settings):
    """Sets up devices and determinism; to be called before TensorFlow computes anything.

    `scope` does it too, which is early enough where nothing else uses TensorFlow before.

    Returns:
      The `tf.distribute.Strategy`, or what has its `scope` and `num_replicas_in_sync`.

    Raises:
      ValueError: see `scope`.
    """
    if not backend.on_tensorflow():
        return _without_tensorflow(settings)
    import tensorflow as tf

    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    return _strategy(settings.strategy, settings.replicas)


class _OneDevice:
    """What a training asks a `tf.distribute.Strategy` for, where there is one device."""

    num_replicas_in_sync = 1
    scope = contextlib.nullcontext


def _without_tensorflow(settings):
    if settings.strategy == "data_parallel" and keras.backend.backend() == "jax":
        return data_parallel.strategy(settings.replicas)
    if settings.strategy not in ("none", "auto") or settings.replicas > 1:
        raise ValueError(
            f"several devices need strategy='data_parallel' on JAX, or the TensorFlow backend "
            f"(KERAS_BACKEND=tensorflow). Received: strategy={settings.strategy!r}, "
            f"replicas={settings.replicas}, the backend {keras.backend.backend()!r}"
        )
    return _OneDevice()


def _strategy(name, replicas):
    """One object per process and set of devices: see `strategies`."""
    import tensorflow as tf

    if name == "data_parallel":
        raise ValueError(
            "strategy='data_parallel' is JAX's (KERAS_BACKEND=jax): with TensorFlow it is 'mirrored'. "
            "Received: the backend 'tensorflow'"
        )
    if name == "multiworker":
        if replicas:
            raise ValueError(
                f"on several hosts each has as many replicas as GPUs, or one. Received: replicas={replicas}"
            )
        return _several_hosts()
    if tf.distribute.has_strategy():
        return _of_open_scope(tf.distribute.get_strategy(), name, replicas)
    if name == "none" or (name == "auto" and not tf.config.list_physical_devices("GPU")):
        if replicas > 1:
            raise ValueError(
                f"several replicas need strategy='mirrored'. Received: strategy={name!r}, replicas={replicas}"
            )
        return tf.distribute.get_strategy()
    devices = tuple(_devices(replicas))
    if devices not in strategies.USED:
        strategies.check_devices(devices)
        strategies.USED[devices] = tf.distribute.MirroredStrategy(list(devices))
    return strategies.USED[devices]


def _of_open_scope(current, name, replicas):
    """The strategy in whose scope this is called: ours, or the caller's in its place."""
    import tensorflow as tf

    is_asked_for = name != "none" and replicas in (0, current.num_replicas_in_sync)
    if not is_asked_for or not isinstance(current, tf.distribute.MirroredStrategy):
        raise ValueError(
            f"this is called inside the scope of a {type(current).__name__} on "
            f"{', '.join(strategies.devices_of(current))}: leave it, or ask for 'mirrored' of as many "
            f"replicas. Received: strategy={name!r}, replicas={replicas}"
        )
    strategies.check_only(current)
    strategies.USED.setdefault(strategies.devices_of(current), current)
    return current


def check_made_here(network, settings):
    """Raises a ValueError if a network was made under another strategy, or in another precision."""
    _check_precision(network, settings.precision)
    if not backend.on_tensorflow():
        if keras.backend.backend() == "jax":
            data_parallel.check_made_here(network, prepare(settings))
        return
    made, needed = network.distribute_strategy, prepare(settings)
    is_default = type(made).__name__.startswith("_Default")
    if made is needed or (is_default and needed.num_replicas_in_sync == 1):
        return
    raise ValueError(
        f"{network.name!r} was made under {'no strategy' if is_default else f'a {type(made).__name__}'} "
        f"and is to be trained under another: make it inside `with strategy.scope(settings)`, which hands "
        f"out one for each set of devices"
    )


def _check_precision(network, precision):
    """Raises a ValueError if a mixed precision is asked for and no layer computes in it."""
    wanted = keras.dtype_policies.get(precision).compute_dtype
    made = {layer.compute_dtype for layer in (network, *graph.all_layers(network))}
    if wanted != "float32" and wanted not in made:
        raise ValueError(
            f"{network.name!r} computes in {', '.join(sorted(made))}, the precision in which its layers were "
            f"made: make it inside `with strategy.scope(settings)`, or leave precision at 'float32'. "
            f"Received: precision={precision!r}"
        )


@functools.cache
def _several_hosts():
    import tensorflow as tf

    _watch()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            f"TensorFlow has run already: call strategy.prepare(settings) before all else ({error})"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # TensorFlow has put its own in the place, which ignores it
    return strategy


@functools.cache
def _watch():
    return watchdog.Watchdog(watchdog.cluster())


def is_chief(settings):
    """Whether this process writes what a training leaves behind: of several hosts only one does."""
    return settings.strategy != "multiworker" or watchdog.cluster().is_chief


def has_other_hosts():
    """Whether this process trains together with others."""
    return _watch.cache_info().currsize > 0


def leave(failed=False):
    """Parts from the other hosts, if there are any: last of all in a program.

    Args:
      failed: whether this host ended with an error, with which the others end too.
    """
    if has_other_hosts():
        _watch().leave(failed)


def _devices(replicas):
    """Names of the devices that the replicas of this machine run on."""
    import tensorflow as tf

    gpus = len(tf.config.list_physical_devices("GPU"))
    if replicas > gpus > 0:
        raise ValueError(f"this machine has {gpus} GPUs. Received: replicas={replicas}")
    if gpus:
        return [f"GPU:{i}" for i in range(replicas or gpus)]
    cpus = max(replicas, 1)
    try:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * cpus
        )
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) < cpus:
            raise ValueError(
                f"TensorFlow has run already, so the CPU cannot be divided any more: call "
                f"strategy.prepare(settings) first, in a process of its own. Received: replicas={replicas}"
            ) from error
    return [f"CPU:{i}" for i in range(cpus)]
