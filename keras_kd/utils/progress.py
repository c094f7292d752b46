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
    """Seconds that are left of work that comes in equal steps; what the first step took, compiling, is not
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
    """What is called with the steps done and their number where no progress is shown."""


def no_titled_progress(title, done, total):
    """What is called with the name of the work too where no progress is shown."""


def with_progress(steps, on_progress):
    """Hands on the steps, a list, one by one; `on_progress` is called before the first and after each."""
    on_progress(0, len(steps))
    for done, step in enumerate(steps, 1):
        yield step
        on_progress(done, len(steps))


# Seconds between two lines where there is no bar.
LINE_SECONDS = 15.0


class ProgressReporter:
    """Shows how far work is and when it ends: a bar on a terminal, else a line now and then, on stderr.

    with ProgressReporter(stop.check) as report:
        evaluation.run(lambda done, total: report("surface", done, total))

    Args:
      check_stop: is called with what is done, in words, at every step; what it raises ends the work between
        two steps. None: nothing stops it.
    """

    def __init__(self, check_stop=None):
        self._check_stop = check_stop or (lambda text: None)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._title = None
        self._printed = time.monotonic()

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *error):
        self._bar.stop()

    def __call__(self, title, done, total):
        """Shows that so many steps of so many are done of the work with this title."""
        self._check_stop(f"{title}: {done} of {total} done")
        if title != self._title:
            self._begin(title, total)
        seconds = self._time_left.after(done, total)
        left = "" if seconds is None else f"{duration(seconds)} left"
        self._bar.update(self._task, completed=done, left=left)
        now = time.monotonic()
        if self._bar.disable and now - self._printed >= LINE_SECONDS:
            self._printed = now
            print(f"{title}: {done}/{total}{left and ', '}{left}", file=sys.stderr, flush=True)

    def _begin(self, title, total):
        self._title = title
        self._time_left = TimeLeft()
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        self._task = self._bar.add_task(title, total=total, left="")

    def named(self, name):
        """The same under the name of what the work belongs to."""
        return lambda title, done, total: self(f"{name}: {title}", done, total)
