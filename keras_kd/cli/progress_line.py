"""One line that says how far a command is as a whole, and lines about what ended."""

import sys
import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from keras_kd.utils import progress


class ProgressLine:
    """A line on stderr that moves where people watch; without a terminal it is printed each half minute."""

    def __init__(self):
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, transient=True) if sys.stderr.isatty() else None
        self._printed = time.monotonic()

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error):
        if self._live:
            self._live.stop()

    def update(self, line):
        """Says how far it is."""
        if self._live:
            self._live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
        elif time.monotonic() - self._printed >= progress.LINE_SECONDS:
            self.print(line)

    def print(self, line):
        """Prints a line that stays."""
        self._printed = time.monotonic()
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)
