"""The `tf.distribute` strategies that this process has used: one for a set of devices, and no second set.

TensorFlow's collectives abort where two sets of several devices take part in one process ("Collective ops is
aborted ... Restart your program"), those of the first strategy too.
"""

USED = {}  # {devices: strategy}


def devices_of(strategy):
    """Short names of a strategy's devices, such as `("GPU:0", "GPU:1")`."""
    return tuple(name.rpartition("device:")[2] for name in strategy.extended.worker_devices)


def check_only(strategy):
    """Notes a strategy that is used.

    Args:
      strategy: a `tf.distribute.Strategy`.

    Raises:
      ValueError: if it has several devices, and this process has used several others.
    """
    if strategy.num_replicas_in_sync > 1:
        devices = devices_of(strategy)
        check_devices(devices)
        USED.setdefault(devices, strategy)


def check_devices(devices):
    """Raises a ValueError if a strategy on these devices would be a second one."""
    other = next((each for each in USED if len(each) > 1 and each != devices), None)
    if other and len(devices) > 1:
        raise ValueError(
            f"this process has a strategy on {', '.join(other)}, and two abort each other's collectives: "
            f"use that one, or start another process. Received: another on {', '.join(devices)}"
        )
