"""What a study shows on the screen: its plan, how far it is, what it found."""

import sys
import time

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from keras_kd.cli import console
from keras_kd.reporting import formatting
from keras_kd.study.findings import claims
from keras_kd.utils import progress, statistics

# Standard deviations of a paired difference for which the needed seeds are told.
DEVIATIONS = (0.005, 0.01, 0.02)


def print_plan(study):
    """Says what a `config.StudyConfig` trains, and how many seeds its verdicts need."""
    conditions = {run.condition for run in study.runs}
    print(f"{study.name}: {study.question}")
    counts = f"{len(study.runs)} runs: {len(conditions)} conditions with {len(study.seeds)} seeds"
    print(f"{counts}, on {study.dataset}")
    level = claims.LEVEL / len(study.claims)
    rows = [
        {
            "if it varies between seeds by": points(deviation),
            "seeds needed": seeds_needed(study.effect, deviation, level),
            "here": str(len(study.seeds)),
        }
        for deviation in DEVIATIONS
    ]
    print(
        f"A comparison finds a paired difference of {points(study.effect)} in four of five studies with so "
        f"many seeds (level {100 * level:.2g} %; claims that join several comparisons need more):"
    )
    console.print_table("Seeds", rows, list(rows[0]))


def seeds_needed(effect, deviation, level):
    """In words, as the number may have no end."""
    try:
        return str(statistics.seeds_needed(effect, deviation, level=level, sides=1))
    except ValueError:
        return f"> {statistics.MOST_SEEDS}"


def points(share):
    """A difference of accuracies."""
    return f"{100 * share:.1f} points"


class Display:
    """One line for each run that ended, and where people watch a bar with the time that is left.

    Args:
      name: of the study.
      stop: a `callbacks.StopOnSignal`: a signal ends the study, with nothing lost but running epochs.
    """

    def __init__(self, name, stop):
        self._name = name
        self._stop = stop
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4) if sys.stderr.isatty() else None
        self._began = time.monotonic()
        self._share_before = None

    def __enter__(self):
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error):
        if self._live:
            self._live.stop()

    def show(self, state):
        """Takes a `runner.Progress`, about once a second."""
        if self._share_before is None:
            self._share_before = state.share
        left = self._time_left(state.share)
        for record in state.ended:
            self._console.print(self._line(record, state, left), highlight=False, soft_wrap=True)
        if self._live:
            self._live.update(self._picture(state, left))
        self._stop.check(f"{len(state.records)} of {state.total} runs done")

    def _time_left(self, share):
        done = share - self._share_before
        if done <= 0:
            return "unknown"
        seconds = (time.monotonic() - self._began) / done * (1 - share)
        return progress.duration(seconds)

    def _line(self, record, state, left):
        outcome = f"failed: {record.error}" if record.error else f"{record.result.accuracy:.1%} on test"
        return f"[{len(state.records)}/{state.total}, {left} left] {record.run.key}: {outcome}".replace(
            "[", "\\["
        )

    def _picture(self, state, left):
        width = round(30 * state.share)
        bar = "━" * width + "╌" * (30 - width)
        head = f"{self._name}  {bar}  {len(state.records)}/{state.total} runs, {left} left"
        lines = [
            f"  {run.key}  " + (f"epoch {e.done}/{e.total}, validation {e.accuracy:.1%}" if e else "begins")
            for run, e in state.running.items()
        ]
        return Group(*map(Text, [head, *lines]))


def print_findings(found):
    """The conditions and the verdicts of a `results.StudySummary`."""
    rows = [
        {
            "network": each.condition.label,
            "depth": str(each.condition.depth or ""),
            "test accuracy": console.percent(each.accuracy.mean),
            "± sd": formatting.percent(each.accuracy.deviation),
            "seeds": str(each.accuracy.count),
        }
        for each in found.conditions
    ]
    console.print_table("On test, touched once a run", rows, list(rows[0]) if rows else ["network"])
    rows = [
        {
            "claim": verdict.claim,
            "verdict": verdict.verdict,
            "p for": f"{verdict.p_for:.3f}",
            "p against": f"{verdict.p_against:.3f}",
            "statement": verdict.statement,
        }
        for verdict in found.verdicts
    ]
    console.print_table("Verdicts", rows, list(rows[0]))


def print_paths(folder, tensorboard):
    """Where a study's files are."""
    console.print_paths(
        run=folder,
        report=folder / "report.html",
        results=folder / "results.csv",
        pictures=folder / "pictures",
        tensorboard=tensorboard,
        result=folder / "result.json",
    )


def check_failures(folder, records):
    """Raises a ValueError if any run failed."""
    failed = [record for record in records.values() if record.error]
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(records)} runs failed, {failed[0].run.key} because of {failed[0].error}; "
            f"see {folder / 'failed'}, and give the same command with --retry_failed"
        )
