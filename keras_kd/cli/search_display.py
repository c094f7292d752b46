"""What a search shows on the screen: its plan, each trial that ends, what it found."""

import sys

from keras_kd.cli import console
from keras_kd.search import report as search_report
from keras_kd.search.space import CHOSEN, TITLES
from keras_kd.utils import progress


def print_plan(tuner, space, epochs, seeds, objective):
    """Says what will be trained, before anything is.

    Args:
      tuner: its name.
      space: a `space.SearchSpace`.
      epochs: of each trial, in order.
      seeds: of each trial.
      objective: a measure.
    """
    print(
        f"{tuner}: {len(epochs)} trials of up to {max(epochs)} epochs, seeds {', '.join(map(str, seeds))}, "
        f"judged by {search_report.OBJECTIVES[objective]}"
    )
    ranges = []
    for name in space.names:
        values = dict.fromkeys(map(search_report.value, space.values_of(name)))
        values = (", " if name in CHOSEN else " to ").join(values)
        ranges.append(f"{TITLES[name]} {values}")
    print("; ".join(ranges), flush=True)


class Display:
    """One line for each trial that has ended, here or at a worker.

    Args:
      total: number of trials.
      objective: a measure.
    """

    def __init__(self, total, objective):
        self._total = total
        self._objective = objective
        self._shown = set()
        self._left = progress.TimeLeft()
        self._left.after(0, total)

    def show(self, records):
        """Takes all `results.TrialRecord`s; prints those that it has not shown."""
        for record in records:
            if record.status in ("COMPLETED", "FAILED") and record.trial not in self._shown:
                self._shown.add(record.trial)
                print(self._line(record), file=sys.stderr, flush=True)

    def skip(self, records):
        """Takes the records that were there before: they are not shown."""
        self._shown |= {record.trial for record in records if record.status in ("COMPLETED", "FAILED")}

    def _line(self, record):
        seconds = self._left.after(len(self._shown), self._total)
        left = "" if seconds is None else f", {progress.duration(seconds)} left"
        return f"[{len(self._shown)}/{self._total}{left}] {describe(record, self._objective)}"


def describe(record, objective):
    """A trial in a line."""
    about = f"trial {record.trial}: {setting(record.values)}"
    if record.error:
        return f"{about}: failed: {record.error}"
    score = search_report.shown(record.score, objective)
    spread = search_report.spread(record.measures.get(objective, []), objective)
    return f"{about}, {record.epochs} epochs: {score} on validation (± {spread})"


def print_record(objective, record):
    """A worker's line for a trial of its own."""
    print(describe(record, objective), file=sys.stderr, flush=True)


def print_findings(found, most=10):
    """The best trials of a `results.SearchResult`, and what the best one gives on test."""
    columns, rows = search_report.table(found, most)
    count = len(found.trials)
    title = f"The best {most} of {count} trials" if count > most else "Trials, best first"
    console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)
    rows = [
        {
            "setting": f"{label}: {setting(each.values)}",
            "test accuracy": console.percent(each.accuracy.mean),
            "± sd": points(each.accuracy.deviation),
            "validation": console.percent(each.validation_accuracy.mean),
            "seeds": str(each.accuracy.count),
        }
        for label, each in (("best", found.test.best), ("default", found.test.default))
    ]
    gain = found.test.gain
    rows.append(
        {
            "setting": "gain, paired by seed",
            "test accuracy": f"{round(100 * gain.mean, 1) + 0.0:+.1f}",
            "± sd": points(gain.deviation),
        }
    )
    console.print_table("On test, touched once a seed", rows, list(rows[0]))
    print(search_report.SELECTED)


def setting(values):
    """The values of a setting in words."""
    return ", ".join(f"{TITLES[name]} {search_report.value(value)}" for name, value in values.items())


def points(share):
    """A spread of accuracies."""
    return "n/a" if share is None else f"{100 * share:.1f}"


def check_failures(folder, result):
    """Raises a ValueError if a trial failed."""
    failed = result.failed
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(result.trials)} trials failed, {failed[0].trial} because of "
            f"{failed[0].error}; see {folder / 'results'}, then give it again with --retry_failed"
        )
