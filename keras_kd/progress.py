"""What a person sees of work that takes longer than some seconds."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


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
        disable=not sys.stderr.isatty(),
    )
