"""Keeps the way of a network through weight space, for `experiments.landscape` to draw."""

from absl import flags

from experiments import console, layout
from keras_kd.training import callbacks
from keras_kd.training.distributed import strategy

COUNT = flags.DEFINE_integer(
    "snapshots", 10, "How often a network's weights are kept on its way; 0: never.", lower_bound=0
)
flags.register_validator(
    "snapshots", lambda count: count != 1, "--snapshots must be 0 or at least 2, the beginning and the end"
)


def watchers(folder, label, network, settings):
    """The callbacks with which a script trains a network: its way is kept, and signals end it."""
    if not COUNT.value:
        return [console.STOP]
    writes = strategy.is_chief(settings)
    return [
        callbacks.Snapshots(folder / layout.TRAJECTORY / label, network, COUNT.value, writes=writes),
        console.STOP,
    ]
