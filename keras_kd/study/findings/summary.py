"""What a study found, as plain values: what `results.csv`, `result.json`, the page and the pictures show.

found = summarize(records, study.claims, margin=study.margin, test_examples=360)
"""

import csv
import dataclasses
import io

import numpy as np

from keras_kd.study.findings import pairing
from keras_kd.study.findings.claims import judge
from keras_kd.utils import files, statistics

_MEASURED = ("accuracy", "loss", "agreement", "validation_accuracy", "parameters", "seconds")


def summarize(records, claims, *, margin, test_examples):
    """All that a study found.

    Args:
      records: `{study.Run: study.Record}`.
      claims: names of `claims.CLAIMS`.
      margin: a difference in accuracy that counts as none.
      test_examples: how many there are.

    Returns:
      `{"verdicts": [...], "cells": [...], "gains": [...], "recoveries": [...], "points": [...], "slope": ...,
      "curves": [...], "rows": [...]}`, ready for JSON: numbers that are not defined are None.
    """
    accuracies = {run: record.result["accuracy"] for run, record in records.items() if record.result}
    results = pairing.PairedResults(accuracies, margin=margin, resolution=1 / test_examples)
    judged = judge(claims, results, failed=len(records) - len(accuracies))
    return files.plain_values(
        {
            "verdicts": [_verdict(verdict) for verdict in judged],
            "cells": cells(accuracies),
            "gains": gains(results),
            "recoveries": recoveries(results),
            "points": points(results),
            "slope": slope(results),
            "curves": curves(records),
            "rows": rows(records),
        }
    )


def _verdict(verdict):
    numbers = [
        {"label": label, "comparison": statistics.compare(list(group.values()))}
        for label, group in verdict.evidence.differences.items()
        if group
    ]
    told = {name: value for name, value in vars(verdict).items() if name != "evidence"}
    return told | {"numbers": numbers, "missing": verdict.evidence.missing}


def rows(records):
    """One row a run: its axes, what it measured, and its teacher's accuracy, None where it has none."""
    found = []
    for run, record in records.items():
        measured = record.result or {}
        teacher = records.get(run.needs)
        found.append(
            {
                "run": run.key,
                "cell": run.cell,
                **run.describe(),
                "status": "failed" if record.error else "done",
            }
            | {name: measured.get(name) for name in _MEASURED}
            | {"teacher_accuracy": teacher.result["accuracy"] if teacher and teacher.result else None}
            | {"error": record.error}
        )
    return found


def write_csv(rows, path):
    """Writes rows as a CSV file, atomically; what is None stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(text.getvalue(), path)


def cells(accuracies):
    """Each cell's accuracy over its seeds: mean, standard deviation and 95 % interval."""
    found = {}
    for run, accuracy in accuracies.items():
        found.setdefault(run.cell, []).append((run, accuracy))
    return [
        {"cell": cell, **_axes(pairs[0][0]), "accuracy": statistics.estimate([value for _, value in pairs])}
        for cell, pairs in found.items()
    ]


def _axes(run):
    return {name: value for name, value in run.describe().items() if name != "seed"} | {"label": label(run)}


def label(run):
    """The kind of network in words, without its depth: what a line over depth stands for."""
    text = run.variant
    if run.is_taught:
        teacher = run.teacher
        twin = teacher.network == run.baseline
        text += f", teacher {'its residual twin' if twin else teacher.network.network}"
        text += f" ({teacher.control})" if teacher.control else ""
        text += f", T {run.temperature:g}, alpha {run.alpha:g}"
        text += f" for {run.alpha_epochs} epochs" if run.alpha_epochs else ""
    differs = run.network.removeprefix(f"{run.variant[0]}{run.depth}")
    return f"{text}, {differs}"


def gains(results):
    """What each taught cell gained over the same network alone, controls and teachers that leave included."""
    taught = {}
    for controls in (False, True):
        for leaving in (False, True):
            taught |= results.cells(controls=controls, leaving=leaving)
    pairs = {cell: (runs[0], results.gains(runs)) for cell, runs in taught.items()}
    return [
        {"cell": cell, **_axes(run), "gain": statistics.estimate(list(group.values()))}
        for cell, (run, group) in pairs.items()
        if group
    ]


def recoveries(results):
    """For each plain network with a teacher that stays: drop, gain, the share of the drop that came back."""
    found = []
    for cell, runs in results.cells(variant="plain + KD").items():
        triples = [[results.accuracies.get(each) for each in (run.baseline, run.alone, run)] for run in runs]
        whole = [triple for triple in triples if None not in triple]
        if whole:
            found.append(
                {
                    "cell": cell,
                    **_axes(runs[0]),
                    **dataclasses.asdict(statistics.recovery_interval(*zip(*whole, strict=True))),
                }
            )
    return found


def points(results):
    """Each taught run's gain beside its teacher's advantage."""
    return [
        {"run": run.key, **_axes(run), "seed": run.seed, "advantage": advantage, "gain": gain}
        for run, advantage, gain in pairing.advantages(results)
    ]


def slope(results):
    """Gain per advantage, within students (mean of the seeds' slopes) and over all points; None for too few.

    The line through all points also holds what the student's own luck puts into both numbers.
    """
    by_seed = pairing.slopes(results)
    pairs = [(advantage, gain) for _, advantage, gain in pairing.advantages(results)]
    if not by_seed or len(pairs) < 3:
        return None
    advantages, gains = zip(*pairs, strict=True)
    return {
        "within_students": statistics.estimate(list(by_seed.values())),
        "all_points": statistics.line(advantages, gains),
    }


def curves(records):
    """Each cell's accuracy on validation over the epochs, mean over seeds."""
    found = {}
    for run, record in records.items():
        if record.result:
            found.setdefault(run.cell, []).append((run, record.result["history"]["val_accuracy"]))
    return [
        {
            "cell": cell,
            **_axes(pairs[0][0]),
            "seeds": len(pairs),
            "accuracy": np.mean([values for _, values in pairs], axis=0).tolist(),
        }
        for cell, pairs in found.items()
    ]
