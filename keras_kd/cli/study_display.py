"""What a study shows on the screen: its plan, how far it is, what it found."""

import time

from keras_kd.cli import console, progress_line
from keras_kd.reporting import formatting
from keras_kd.study import run_folders, table
from keras_kd.study.findings import cases, naming, networks, sentences
from keras_kd.study.findings import report as study_report
from keras_kd.training import failures
from keras_kd.utils import progress, run_dir, statistics

# Standard deviations of a paired difference for which the needed seeds are told.
DEVIATIONS = (0.005, 0.01, 0.02)


def print_plan(study):
    """Says what a `config.StudyConfig` trains, and how many seeds its verdicts need."""
    conditions = {run.condition for run in study.runs}
    print(f"{study.name}: {study.question}")
    seeds = formatting.counted(len(study.seeds), "seed")
    runs = formatting.counted(len(study.runs), "run")
    counts = f"{runs}: {formatting.counted(len(conditions), 'condition')} with {seeds}"
    print(f"{counts}, on {study.dataset}")
    level = cases.LEVEL / len(study.claims)
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
    """One line with the overall place and the time that is left, and one for each run that ended.

    People watch the line move; without a terminal it is printed each half minute.

    Args:
      name: of the study.
      stop: a `callbacks.StopOnSignal`: a signal ends the study, with nothing lost but running epochs.
    """

    def __init__(self, name, stop):
        self._name = name
        self._stop = stop
        self._line = progress_line.ProgressLine()
        self._began = time.monotonic()
        self._share_before = None

    def __enter__(self):
        self._line.__enter__()
        return self

    def __exit__(self, *error):
        self._line.__exit__(*error)

    def show(self, state):
        """Takes a `runner.Progress`, about once a second."""
        if self._share_before is None:
            self._share_before = state.share
        left = self._time_left(state.share)
        for record in state.ended:
            self._line.print(self._ended(record, state, left))
        self._line.update(self._place(state, left))
        self._stop.check(f"{len(state.records)} of {state.total} runs done")

    def _time_left(self, share):
        done = share - self._share_before
        if done <= 0:
            return ""
        seconds = (time.monotonic() - self._began) / done * (1 - share)
        return f", {progress.duration(seconds)} left"

    def _ended(self, record, state, left):
        failed, result = record.error, record.result
        outcome = f"failed: {failures.in_words(failed)}" if failed else f"{result.accuracy:.1%} on test"
        return f"[{len(state.records)}/{state.total}{left}] {naming.title_with_seed(record.run)}: {outcome}"

    def _place(self, state, left):
        """The whole in one line; of the runs under way it names the first."""
        place = f"{self._name}: {len(state.records)} of {state.total} runs{left}"
        now = [
            f"{naming.title_with_seed(run)}, " + (f"epoch {e.done}/{e.total}" if e else "begins")
            for run, e in state.running.items()
        ]
        more = f" and {len(now) - 1} more" if len(now) > 1 else ""
        return f"{place}; now {now[0]}{more}" if now else place


def print_findings(result, planned=None):
    """What a `results.StudyResult` says: a sentence for each claim, then the tables.

    Args:
      result: the `StudyResult`.
      planned: how many runs the study has, where some may not be there yet.
    """
    found = result.summary
    for text in sentences.of_study(found, result.replications):
        print(text)
    print(study_report.scope(result, planned))
    rows = [
        {
            "network": each.condition.title,
            "accuracy": console.percent(each.accuracy.mean),
            "± sd, points": formatting.percent(each.accuracy.deviation),
            "agreement": console.percent(each.agreement),
            "seeds": str(each.accuracy.count),
        }
        for each in found.conditions
    ]
    console.print_table("On test, touched once a run", rows, list(rows[0]) if rows else ["network"])
    rows = [
        {
            "claim": verdict.claim,
            "verdict": verdict.verdict,
            "p for": formatting.equals(verdict.p_for).removeprefix("= "),
            "p against": formatting.equals(verdict.p_against).removeprefix("= "),
        }
        for verdict in found.verdicts
    ]
    console.print_table("Verdicts, p corrected", rows, list(rows[0]))


def print_paths(folder, tensorboard):
    """Where a study's files are."""
    console.print_paths(
        run=folder,
        report=folder / study_report.PAGE,
        results=folder / table.RESULTS,
        pictures=folder / "pictures",
        tensorboard=tensorboard,
        result=folder / run_dir.RESULT,
    )


def print_next(folder, result, **data):
    """What to do with a study: look inside where twins are there, else take its best network out.

    Args:
      folder: of the study.
      result: its `results.StudyResult`.
      **data: flags that say where its images are.
    """
    rows = result.summary.rows
    if networks.twin_triplets(rows):
        console.print_next("reuse", run=folder, **data)
    elif done := [row for row in rows if row.is_done]:
        best = max(done, key=lambda row: row.validation_accuracy)
        console.print_next_export(run_folders.path(folder, best.run) / run_dir.MODEL)


def check_failures(folder, records):
    """Raises a ValueError if any run failed."""
    failed = [record for record in records.values() if record.error]
    if failed:
        first = failed[0]
        raise ValueError(
            f"{len(failed)} of {len(records)} runs failed, {naming.title_with_seed(first.run)}: "
            f"{failures.in_words(first.error)}; see {folder / 'failed'}, and give the same command with "
            f"--retry_failed"
        )
