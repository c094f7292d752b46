"""What a person sees of work that takes longer than some seconds."""

import contextlib
import contextvars
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SILENT = contextvars.ContextVar("silent", default=False)


def bar(unit, *columns):
    """A bar with the time that is left, on stderr; silent where nobody watches.

    Args:
      unit: what is counted.
      *columns: further `rich.progress` columns.

    Returns:
      A `rich.progress.Progress`.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(f"{unit}, left"),
        TimeRemainingColumn(),
        *columns,
        console=Console(stderr=True),
        disable=_SILENT.get() or not sys.stderr.isatty(),
    )


@contextlib.contextmanager
def silence():
    """Keeps bars and lines off the screen, where another bar shows the whole."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


def say(text):
    """Prints a line about work that begins or waits, unless silenced."""
    if not _SILENT.get():
        print(text, flush=True)


def duration(seconds):
    """A time in words, as exact as it is known."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class TimeLeft:
    """Seconds that are left of work that comes in equal pieces; what the first piece took, compiling, is not
    counted.

    Args:
      clock: returns the time in seconds.
    """

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._first = self._began = None

    def after(self, done, total):
        """Seconds left, or None while nothing is known; asked before the first piece, then at any time."""
        if self._first is None:
            self._first = done
        elif self._began is None and done > self._first:
            self._began, self._done_before = self._clock(), done
        if done == total:
            return 0.0
        if self._began is None or done == self._done_before:
            return None
        return (self._clock() - self._began) / (done - self._done_before) * (total - done)


def no_progress(done, total):
    """What is called with the steps done and their number where nobody watches."""


def with_progress(steps, watch):
    """Hands on the steps, a list, one by one; `watch` is called before the first and after each."""
    watch(0, len(steps))
    for done, step in enumerate(steps, 1):
        yield step
        watch(done, len(steps))
