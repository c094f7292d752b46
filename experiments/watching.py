"""How far a survey is, on the screen: a bar where people watch, else a line now and then."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from experiments import console
from keras_kd.utils import progress

# Seconds between two lines where nobody watches a bar.
LINE_SECONDS = 15.0


class Watch:
    """Shows how far the work is and when it ends; a signal ends it between two pieces.

    with Watch() as watch:
        survey.run(lambda done, total: watch("surface", done, total))
    """

    def __init__(self):
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._title = None
        self._said = time.monotonic()

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *error):
        self._bar.stop()

    def __call__(self, title, done, total):
        console.STOP.check(f"{title}: {done} of {total} done")
        if title != self._title:
            self._title = title
            self._time_left = progress.TimeLeft()
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._task = self._bar.add_task(title, total=total, left="")
        seconds = self._time_left.after(done, total)
        left = "" if seconds is None else f"{progress.duration(seconds)} left"
        self._bar.update(self._task, completed=done, left=left)
        now = time.monotonic()
        if self._bar.disable and now - self._said >= LINE_SECONDS:
            self._said = now
            print(f"{title}: {done}/{total}{left and ', '}{left}", file=sys.stderr, flush=True)


def named(watch, name, title, done, total):
    """Shows it under the name of what it belongs to."""
    watch(f"{name}: {title}", done, total)
