"""What a study found, from the records of its runs.

found = summarize(records, study.claims, margin=study.margin, test_examples=360)
"""

import collections
import csv
import io
import itertools
import math

import numpy as np

from keras_kd.study import run_result, table
from keras_kd.study.findings import naming, pairing, results
from keras_kd.study.findings.verdicts import judge
from keras_kd.utils import files, records, recovery, statistics

_MEASURED = (*run_result.MEASURED, "training_accuracy", "training_change")


def summarize(study_records, claims, *, margin, test_examples, planned=None):
    """All that a study found.

    Args:
      study_records: `{study.Run: study.RunRecord}`.
      claims: names of `claims.CLAIMS`.
      margin: a difference in accuracy that counts as none.
      test_examples: how many there are; 0: not known.
      planned: all `study.Run`s of the study; those of the records if None.

    Returns:
      A `results.StudySummary`.
    """
    accuracies = {run: record.result.accuracy for run, record in study_records.items() if record.result}
    paired = pairing.PairedResults(
        accuracies,
        margin=margin,
        resolution=1 / test_examples if test_examples else 0.0,
        validation={
            run: record.result.validation_accuracy for run, record in study_records.items() if record.result
        },
        planned=study_records if planned is None else planned,
    )
    resolution = paired.resolution
    judged = judge(claims, paired, failed=len(study_records) - len(accuracies))
    return results.StudySummary(
        verdicts=tuple(_verdict(each, resolution) for each in judged),
        conditions=tuple(condition_accuracies(study_records, resolution)),
        gains=tuple(gains(paired)),
        recoveries=tuple(recoveries(paired)),
        points=tuple(points(paired)),
        slope=slope(paired),
        curves=tuple(curves(study_records)),
        rows=tuple(rows(study_records)),
    )


def _verdict(verdict, resolution):
    compared = {
        label: statistics.compare(list(group.values()), resolution=resolution)
        for label, group in verdict.evidence.differences.items()
        if group
    }
    corrected = statistics.holm([each.p_value for each in compared.values()])
    numbers = tuple(
        results.LabelledComparison(label, records.finite(comparison), corrected_p)
        for (label, comparison), corrected_p in zip(compared.items(), corrected, strict=True)
    )
    told = {name: value for name, value in vars(verdict).items() if name != "evidence"}
    evidence = verdict.evidence
    numbers += tuple(
        results.LabelledComparison(label, records.finite(statistics.Comparison(each, *[math.nan] * 3)))
        for label, each in evidence.estimates.items()
    )
    return results.VerdictSummary(**told, numbers=numbers, missing=evidence.missing, cases=evidence.cases)


def rows(study_records):
    """A `results.RunRow` for each run."""
    found = []
    for run, record in study_records.items():
        teacher = study_records.get(run.needs)
        measured = {name: getattr(record.result, name) for name in _MEASURED} if record.result else {}
        found.append(
            results.RunRow(
                run=run.key,
                condition=run.condition,
                axes=_axes(run),
                seed=run.seed,
                status=table.FAILED if record.error else table.DONE,
                **measured,
                teacher_accuracy=teacher.result.accuracy if teacher and teacher.result else None,
                error=record.error,
            )
        )
    return found


def write_csv(rows, path, shared=None):
    """Writes `results.RunRow`s as a CSV file, atomically; what is None stays empty.

    Args:
      rows: these.
      path: of the file.
      shared: `{column: text}` that all rows have beside their own, or None.
    """
    values = [row.to_json() | (shared or {}) for row in rows]
    text = io.StringIO()
    columns = dict.fromkeys(itertools.chain(*values))
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(values)
    files.write_text(text.getvalue(), path)


def condition_accuracies(study_records, resolution=0.0):
    """A `results.ConditionAccuracy` for each condition: mean, standard deviation, 95 % interval over seeds.

    Args:
      study_records: `{study.Run: study.RunRecord}`; those that failed count in none.
      resolution: the accuracy that one test image is worth; see `statistics.estimate`.
    """
    found = {}
    for run, record in study_records.items():
        if record.result:
            found.setdefault(run.condition, []).append((run, record.result))
    return [
        results.ConditionAccuracy(
            condition_of(pairs[0][0]),
            _estimate([result.accuracy for _, result in pairs], resolution),
            **{name: _mean(getattr(result, name) for _, result in pairs) for name in _MEANS},
        )
        for pairs in found.values()
    ]


_MEANS = ("training_accuracy", "training_change", "agreement")


def _mean(values):
    """None where one is missing."""
    values = list(values)
    return None if None in values else float(np.mean(values))


def _estimate(values, resolution=0.0):
    return records.finite(statistics.estimate(list(values), resolution=resolution))


def condition_of(run):
    """The `results.Condition` of a run."""
    return results.Condition(run.condition, naming.title(run), naming.label(run), _axes(run))


def _axes(run):
    return {name: value for name, value in run.describe().items() if name != "seed"}


def gains(paired):
    """What each taught condition gained over the same network alone, controls and early leavers included."""
    taught = {}
    names = ("controls", "leaving", "removal", "other_losses")
    for kinds in itertools.product((False, True), repeat=len(names)):
        taught |= paired.conditions(**dict(zip(names, kinds, strict=True)))
    pairs = [(runs[0], paired.gains(runs)) for runs in taught.values()]
    return [
        results.ConditionGain(condition_of(run), _estimate(group.values(), paired.resolution))
        for run, group in pairs
        if group
    ]


def recoveries(paired):
    """For each plain network with a teacher that stays: drop, gain, the share of the drop that came back."""
    found = []
    plain = [
        paired.conditions(variant="plain + KD", removal=removal, other_losses=other_losses)
        for removal, other_losses in itertools.product((False, True), repeat=2)
    ]
    for runs in itertools.chain(*(conditions.values() for conditions in plain)):
        triples = [[paired.accuracies.get(each) for each in (run.baseline, run.alone, run)] for run in runs]
        whole = [triple for triple in triples if None not in triple]
        if whole:
            found_here = recovery.over_seeds(*zip(*whole, strict=True), resolution=paired.resolution)
            found.append(results.ConditionRecovery(condition_of(runs[0]), records.finite(found_here)))
    return found


def points(paired):
    """Each taught run's gain beside its teacher's advantage."""
    return [
        results.RunGain(run.key, condition_of(run), run.seed, advantage, gain)
        for run, advantage, gain in pairing.advantages(paired)
    ]


def slope(paired):
    """Gain per advantage as a `results.AdvantageSlope`; None for too few points or one teacher a student."""
    found = pairing.advantages(paired)
    teachers = collections.defaultdict(set)
    for run, _, _ in found:
        teachers[run.alone].add(run.teacher.network)
    if len(found) < 3 or max(map(len, teachers.values())) < 2:
        return None
    _, advantages, gains = zip(*found, strict=True)
    if not np.ptp(advantages):
        return None
    line = records.finite(statistics.line(advantages, gains))
    return results.AdvantageSlope(records.finite(pairing.instrumented_slope(paired)), line)


def curves(study_records):
    """Each condition's accuracy on validation over the epochs, of runs that kept it.

    Each epoch has the mean over the seeds that reached it: a training may end before the others.
    """
    found = {}
    for run, record in study_records.items():
        if record.result and record.result.history.get("val_accuracy"):
            found.setdefault(run.condition, []).append((run, record.result.history["val_accuracy"]))
    return [
        results.ConditionCurve(
            condition_of(pairs[0][0]),
            len(pairs),
            _mean_curve([values for _, values in pairs]),
        )
        for pairs in found.values()
    ]


def _mean_curve(curves):
    longest = max(map(len, curves))
    return [
        float(np.mean([curve[epoch] for curve in curves if epoch < len(curve)])) for epoch in range(longest)
    ]
