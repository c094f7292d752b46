"""What a person sees of work that takes longer than some seconds."""

import contextlib
import contextvars
import math
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SILENT = contextvars.ContextVar("silent", default=False)

# Lists that get what `note` is told.
_NOTED = contextvars.ContextVar("noted", default=())

# What shows the whole of the work of which others do parts.
_WHOLE = contextvars.ContextVar("whole", default=None)


def bar(unit, *columns):
    """A bar with the time that is left, on stderr; silent where nobody watches, or one line shows the whole.

    Args:
      unit: what is counted.
      *columns: further `rich.progress` columns.

    Returns:
      A `rich.progress.Progress`.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(f"{unit}, left"),
        TimeRemainingColumn(),
        *columns,
        console=Console(stderr=True),
        disable=_SILENT.get() or _WHOLE.get() is not None or not sys.stderr.isatty(),
    )


@contextlib.contextmanager
def silence():
    """Keeps bars and lines off the screen, where another bar shows the whole."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


def whole():
    """What `showing` was given, or None."""
    return _WHOLE.get()


@contextlib.contextmanager
def showing(line):
    """Within the block `whole()` is `line`, which shows the work, and bars of its parts are silent."""
    token = _WHOLE.set(line)
    try:
        yield
    finally:
        _WHOLE.reset(token)


def say(text):
    """Prints a line about work that begins or waits, unless silenced."""
    if not _SILENT.get():
        print(text, flush=True)


def note(text):
    """Says a sentence on what is likely wrong, unless silenced, and keeps it as `keep_note` does."""
    say(f"note: {text}")
    keep_note(text)


def keep_note(text):
    """Hands a sentence on what is likely wrong to all who collect such, without saying it."""
    for notes in _NOTED.get():
        notes.append(text)


@contextlib.contextmanager
def noted():
    """A list of the sentences that are noted within the block, also where nothing is said."""
    notes = []
    token = _NOTED.set((*_NOTED.get(), notes))
    try:
        yield notes
    finally:
        _NOTED.reset(token)


def duration(seconds):
    """A time in words, as exact as it is known."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def clock(seconds):
    """A time as on a clock: 3:10, or 1:03:10."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
LINE_SECONDS = 30.0


class WorkLine:
    """One line over all of some work, on stderr: a bar on a terminal, else a line each half minute.

    with WorkLine("networks", 3) as line:
        line.show(2.4)  # 2 of 3 networks, 3:10 left

    Args:
      unit: what is counted, in the plural.
      total: how many there are.
      is_shown: whether anything is, unless `silence` keeps it off the screen anyway.
      now: returns the time in seconds.
    """

    def __init__(self, unit, total, is_shown=True, now=time.monotonic):
        self._unit = unit
        self._total = total
        self._is_shown = is_shown and not _SILENT.get()
        self._now = now
        self._time_left = TimeLeft(now)
        self._printed = now()
        self._bar = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            redirect_stdout=sys.stdout.isatty(),
            disable=not (self._is_shown and sys.stderr.isatty()),
        )
        self._task = self._bar.add_task("", total=total)

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Gives the terminal back."""
        self._bar.stop()

    def show(self, done, remark=""):
        """Takes how many are done, the part of the next one included, and words that follow."""
        seconds = self._time_left.after(done, self._total)
        parts = [f"{math.floor(done + 1e-6)} of {self._total} {self._unit}"]
        parts += [] if seconds is None else [f"{clock(seconds)} left"]
        text = ", ".join(filter(None, [*parts, remark]))
        self._bar.update(self._task, completed=done, description=text)
        now = self._now()
        if self._is_shown and self._bar.disable and now - self._printed >= LINE_SECONDS:
            self._printed = now
            print(text, file=sys.stderr, flush=True)
