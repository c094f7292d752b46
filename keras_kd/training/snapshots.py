"""The weights of a network kept on their way through training."""

import pathlib

import keras
import numpy as np

from keras_kd.models import weights
from keras_kd.utils import files


class Snapshots(keras.callbacks.Callback):
    """Keeps a network's weights at some epochs, evenly spread: its way through weight space.

    The last are those that are kept in the end, whichever epoch they are of: it stands behind the callbacks
    of `weights_at_end`. A training that ends early has fewer.

    Args:
      folder: gets a file `EPOCHS.npz` each time, `{path: array}` after so many epochs.
      network: the network, which may be a part of what is trained.
      count: how many, 2 at least: the weights at the beginning and at the end are among them.
      writes: whether to write them; of several hosts only one does.

    Attributes:
      done: how many epochs, kept with the checkpoint; None before the first.
    """

    def __init__(self, folder, network, count, writes=True):
        super().__init__()
        self.done = None
        self._writes = writes
        self._folder = pathlib.Path(folder)
        self._network = network
        self._count = count

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self._keep(0)

    def on_epoch_end(self, epoch, logs=None):
        self.done = epoch + 1
        if self.done in snapshot_epochs(self.params["epochs"], self._count):
            self._keep(self.done)

    def on_train_end(self, logs=None):
        if self.done is not None:  # which checkpoints of earlier versions do not say
            self._keep(self.done)

    def _keep(self, epochs):
        if self._writes:
            files.write_arrays(weights.weights_of(self._network), self._folder / f"{epochs:05d}.npz")


def snapshot_epochs(epochs, count):
    """After how many epochs of `epochs` the `count` snapshots are taken, as a set."""
    return set(np.linspace(0, epochs, count).round().astype(int).tolist())


def read_snapshots(folder):
    """What `Snapshots` kept in a folder, in order: `{epochs: {path: array}}`; empty if there is none."""
    return {int(path.stem): files.read_arrays(path) for path in sorted(pathlib.Path(folder).glob("*.npz"))}
