"""What a search shows on the screen: its plan, each trial that ends, what it found."""

import sys
import time

from keras_kd.cli import console, progress_line
from keras_kd.reporting import formatting
from keras_kd.search import report as search_report
from keras_kd.search import sentences
from keras_kd.search.space import CHOSEN, TITLES
from keras_kd.training import failures
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
        values = dict.fromkeys(map(sentences.value, space.values_of(name)))
        values = (", " if name in CHOSEN else " to ").join(values)
        ranges.append(f"{TITLES[name]} {values}")
    print("; ".join(ranges), flush=True)


class Display:
    """One line for each trial that has ended, here or at a worker, and one with the overall place.

    Args:
      total: number of trials.
      objective: a measure.
      seeds: of each trial.
    """

    def __init__(self, total, objective, seeds):
        self._total = total
        self._objective = objective
        self._seeds = len(seeds)
        self._shown = set()
        self._line = progress_line.ProgressLine()
        self._first = None  # time and place when something was known first: compiling is over then

    def __enter__(self):
        self._line.__enter__()
        return self

    def __exit__(self, *error):
        self._line.__exit__(*error)

    def show(self, records):
        """Takes all `results.TrialRecord`s; prints those that it has not shown."""
        for record in records:
            if record.status in ("COMPLETED", "FAILED") and record.trial not in self._shown:
                self._shown.add(record.trial)
                place = f"[{len(self._shown)}/{self._total}{self._left(len(self._shown))}]"
                self._line.print(f"{place} {describe(record, self._objective)}")

    def skip(self, records):
        """Takes the records that were there before: they are not shown."""
        self._shown |= {record.trial for record in records if record.status in ("COMPLETED", "FAILED")}

    def epoch(self, trial, trained, epoch, epochs):
        """Says that a trial has done so many epochs of its next seed, after so many seeds."""
        done = len(self._shown) + (trained + epoch / epochs) / self._seeds
        self._line.update(
            f"{len(self._shown)} of {self._total} trials{self._left(done)}; now trial {trial}, "
            f"student {trained + 1} of {self._seeds}, epoch {epoch}/{epochs}"
        )

    def _left(self, done):
        now = time.monotonic()
        self._first = self._first or (now, done)
        began, before = self._first
        if done <= before:
            return ""
        seconds = (now - began) / (done - before) * (self._total - done)
        return f", {progress.duration(max(seconds, 0.0))} left"


def describe(record, objective):
    """A trial in a line."""
    about = f"trial {record.trial}: {sentences.setting(record.values)}"
    if record.error:
        return f"{about}: failed: {failures.in_words(record.error)}"
    score = search_report.shown(record.score, objective)
    spread = search_report.spread(record.measures.get(objective, []), objective)
    unit = " points" if objective == sentences.ACCURACY else ""
    around = "" if spread == "n/a" else f" (± {spread}{unit})"
    return f"{about}, {record.epochs} epochs: {score} on validation{around}"


def print_record(objective, record):
    """A worker's line for a trial of its own."""
    print(describe(record, objective), file=sys.stderr, flush=True)


def print_findings(found, most=10):
    """What a `results.SearchResult` says: sentences, then the best trials and the best one on test."""
    for text in (*sentences.answer(found), sentences.searched(found)):
        print(text)
    columns, rows = search_report.table(found, most)
    count = len(found.trials)
    title = f"The best {most} of {count} trials" if count > most else "Trials, best first"
    console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)
    rows = [
        {
            "setting": f"{label}: {sentences.setting(each.values)}",
            "test accuracy": console.percent(each.accuracy.mean),
            "± sd, points": points(each.accuracy.deviation),
            "validation": console.percent(each.validation_accuracy.mean),
            "seeds": str(each.accuracy.count),
        }
        for label, each in (("best", found.test.best), ("default", found.test.default))
    ]
    rows.append(
        {
            "setting": "gain, paired by seed, points",
            "test accuracy": formatting.points(found.test.gain.mean),
            "± sd, points": points(found.test.gain.deviation),
        }
    )
    console.print_table("On test, touched once a seed", rows, list(rows[0]))
    console.print_notes(found.notes)


def points(share):
    """A spread of accuracies."""
    return "n/a" if share is None else f"{100 * share:.1f}"


def check_failures(folder, result):
    """Raises a ValueError if a trial failed."""
    failed = result.failed
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(result.trials)} trials failed, trial {failed[0].trial}: "
            f"{failures.in_words(failed[0].error)}; see {folder / 'results'}, then give it again with "
            f"--retry_failed"
        )
