"""The `log.txt` of a run: a line for each epoch of each of its networks.

line_of(Epoch("teacher", 3, 20), 1.2, {"loss": 0.5})  # teacher epoch 3/20 1.2s loss=0.5
"""

import dataclasses
import re

FILE = "log.txt"

_LINE = re.compile(r"(.+) epoch (\d+)/(\d+) ")


@dataclasses.dataclass(frozen=True)
class Epoch:
    """How far a network has come: epochs `done` of `total`."""

    label: str
    done: int
    total: int

    @property
    def share(self):
        return self.done / self.total


def line_of(epoch, seconds, logs):
    """The line that tells of an epoch.

    Args:
      epoch: an `Epoch`.
      seconds: that it took.
      logs: `{name: number}`.
    """
    numbers = " ".join(f"{key}={value:.5g}" for key, value in sorted(logs.items()))
    return f"{epoch.label} epoch {epoch.done}/{epoch.total} {seconds:.1f}s {numbers}"


def epoch_of(line):
    """The `Epoch` that a line tells of; None for another line, such as a note."""
    found = _LINE.match(line)
    return Epoch(found[1], int(found[2]), int(found[3])) if found else None


def read(folder):
    """The `Epoch`s that the log in a folder tells of, in its order; none where there is no log to read.

    Args:
      folder: `pathlib.Path` of a run.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    return [epoch for epoch in map(epoch_of, lines) if epoch]


def last_epoch(folder):
    """The last of `read`, or None."""
    return next(reversed(read(folder)), None)
