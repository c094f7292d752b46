"""How many of the networks of a comparison are trained, in one line, and when the last one will be.

with NetworksLine(["teacher", "student_alone"], folder, epochs=20) as line:
    train("teacher", ...)  # its callback reports to the line
    line.end("teacher")
"""

import contextlib
import pathlib
import time

from keras_kd.training import epoch_log
from keras_kd.utils import progress

# Between two looks at what other processes wrote.
LOOK_SECONDS = 1.0


class NetworksLine:
    """The line of all networks; where there is one around it already, that is told of them in its place.

    Args:
      labels: of the networks.
      folders: of the runs that train networks of these labels, each with its `log.txt`; None for one without.
      epochs: of each training.
      is_shown: see `progress.WorkLine`.
    """

    def __init__(self, labels, folders, epochs, is_shown=True):
        self._labels = labels
        self._folders = [folder and pathlib.Path(folder) for folder in folders]
        self._epochs = epochs
        self._own = {}  # (folder, label): epochs that are done, as callbacks tell
        self._read = {}  # the same, as the logs tell
        self._looked = -LOOK_SECONDS
        self._is_outer = progress.whole() is None
        self._line = progress.WorkLine("networks", len(labels) * len(folders), is_shown and self._is_outer)
        self.folder = self._folders[0]

    def __enter__(self):
        self._stack = contextlib.ExitStack()
        if self._is_outer:
            self._stack.enter_context(self._line)
            self._stack.enter_context(progress.showing(self))
            self.look()
        return self

    def __exit__(self, *error):
        self._stack.close()

    def report(self, label, epochs):
        """Takes how many epochs of a network of the present `folder` are done, with the part of the next."""
        self._own[self.folder, label] = epochs
        self.look()

    def end(self, label):
        """Takes that a network is trained, after however many epochs."""
        (self if self._is_outer else progress.whole()).report(label, self._epochs)

    def look(self):
        """Shows what is done, here and, as far as logs tell, in other processes."""
        if not self._is_outer:
            return
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._read = {key: epochs for folder in self._folders for key, epochs in _logged(folder)}
        keys = [(folder, label) for folder in self._folders for label in self._labels]
        done = [max(self._own.get(key, 0), self._read.get(key, 0)) for key in keys]
        self._line.show(sum(min(epochs / self._epochs, 1.0) for epochs in done))


def _logged(folder):
    """`[((folder, label), epochs)]` that a run's log tells of."""
    return [((folder, each.label), each.done) for each in epoch_log.read(folder)] if folder else []
