"""What a person sees of work that takes longer than some seconds."""

import contextlib
import contextvars
import sys

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
