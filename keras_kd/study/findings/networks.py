"""What was seen inside the networks of a study: numbers over seeds, sections of pages.

A view is a module that draws what one script found about a group of networks: `TITLE`, `TITLES` (`{measure:
title}`), `sections(group, name)`, `overview(group, name)` and `pictures(group)`. A group is `{"name",
"kind", "seed", "networks": [{"label", measure: number}], ...}`; those of one kind differ by their seed.
"""

import dataclasses
import json
import pathlib

from keras_kd.analysis.landscape import report as landscape_report
from keras_kd.analysis.reuse import report as reuse_report
from keras_kd.reporting import formatting, html
from keras_kd.study import design
from keras_kd.utils import files, statistics

VIEWS = {"landscape": landscape_report, "reuse": reuse_report}

RESIDUAL, PLAIN, TAUGHT = LABELS = ("residual", "plain", "plain + KD")


# What twins share, and what is said of them where it is not a run's default.
_SETTINGS = ("dropout", "weight_decay", "augmentation", "label_fraction")


@dataclasses.dataclass(frozen=True)
class TwinTriplet:
    """A residual network, its plain twin, and the one that the first taught.

    Attributes:
      kind: what trios of other seeds share, in words.
      depth, seed: of all three.
      runs: `{label: name of the run}`, one for each of `LABELS`.
    """

    kind: str
    depth: int
    seed: int
    runs: dict


def twin_triplets(rows):
    """The networks of a study that can be compared: one `Trio` for each plain network taught by its twin.

    Args:
      rows: of the study's results; see `design.Run.describe`.

    Returns:
      A list, by depth, width, settings and seed. Controls, and teachers that leave early, are left out.
    """
    done = [row for row in rows if row["status"] == "done"]
    taught = [row for row in done if _with_twins(row, done)]
    order = ("depth", "width", *_SETTINGS, "temperature", "alpha", "seed")
    return [
        TwinTriplet(_kind(row), row["depth"], row["seed"], _with_twins(row, done))
        for row in sorted(taught, key=lambda row: [row[name] for name in order])
    ]


def _with_twins(taught, done):
    """`{label: run}` of a network that its residual twin taught to the end, and the two; None of others."""
    if taught["variant"] != TAUGHT or taught["teacher_control"] or taught["alpha_epochs"]:
        return None
    same = ("depth", "width", "seed", *_SETTINGS)
    twins = {
        row["variant"]: row["run"]
        for row in done
        if row["variant"] in (RESIDUAL, PLAIN) and all(row[name] == taught[name] for name in same)
    }
    by_twin = twins.get(RESIDUAL) == f"{taught['teacher']}-s{taught['seed']}"
    return {**twins, TAUGHT: taught["run"]} if by_twin and PLAIN in twins else None


def _kind(row):
    told = [f"depth {row['depth']}", f"width {row['width']}"]
    told += [
        f"{name.replace('_', ' ')} {row[name]}"
        for name in (*_SETTINGS, "temperature", "alpha")
        if row[name] != getattr(design.Run, name)
    ]
    return ", ".join(told)


def summarise(groups, measures):
    """Means over seeds, and by how much the taught network differs from its twins.

    Args:
      groups: of a study; those of one kind have the same labels.
      measures: names of numbers; a network may lack one.

    Returns:
      `{"cells": [...], "differences": [...]}`: entries with `"kind"`, `"label"`, `"measure"`, `"missing"` and
      a `statistics.Estimate`, whose numbers are None if some seeds, `missing` of them, lack the measure.
    """
    found = {"cells": [], "differences": []}
    for kind in dict.fromkeys(group["kind"] for group in groups):
        rows = [
            {network["label"]: network for network in group["networks"]}
            for group in groups
            if group["kind"] == kind
        ]
        for measure in measures:
            values = {label: [row[label].get(measure) for row in rows] for label in LABELS}
            for label, numbers in values.items():
                found["cells"] += _estimate(kind, label, measure, numbers)
            for other in (RESIDUAL, PLAIN):
                pairs = zip(values[TAUGHT], values[other], strict=True)
                minus = [None if None in pair else pair[0] - pair[1] for pair in pairs]
                found["differences"] += _estimate(kind, f"{TAUGHT} minus {other}", measure, minus)
    return found


def _estimate(kind, label, measure, numbers):
    """A list of one, or of none where no seed has the number."""
    missing = numbers.count(None)
    if missing == len(numbers):
        return []
    estimate = files.plain_values(statistics.estimate([n for n in numbers if n is not None]))
    if missing:  # those that have it may be the mild ones
        estimate |= {"mean": None, "low": None, "high": None}
    return [{"kind": kind, "label": label, "measure": measure, "missing": missing, **estimate}]


def tables(summary, titles):
    """`[(key, title, columns, rows)]`: every measure over seeds, and the paired differences."""
    found = []
    for key, title in (("cells", "Over seeds"), ("differences", "Differences over seeds")):
        labels = list(dict.fromkeys(entry["label"] for entry in summary[key]))
        rows = {}
        for entry in summary[key]:
            name = f"{entry['kind']}: {titles[entry['measure']]}"
            lacks = f"n/a in {entry['missing']} of {entry['missing'] + entry['count']} seeds"
            rows.setdefault(name, {})[entry["label"]] = (
                lacks if entry["missing"] else formatting.interval(entry)
            )
        table = [[name, *(cells.get(label, "n/a") for label in labels)] for name, cells in rows.items()]
        found.append((key, title, ["measure", *labels], table))
    return found


def table_of_group(group, titles):
    """`(columns, rows)`: every measure of the networks of one group."""
    networks = group["networks"]
    rows = [
        [title, *(formatting.number(network.get(key)) for network in networks)]
        for key, title in titles.items()
        if any(network.get(key) is not None for network in networks)
    ]
    return ["measure", *(network["label"] for network in networks)], rows


_WORDS = {
    "cells": "Mean and 95 % interval (Student's t).",
    "differences": "Paired by seed, initial weights and batches. Mean and 95 % interval (Student's t).",
}


def sections_of_group(group, name):
    """The sections about one group: all its numbers, then what there is to look at.

    Args:
      group: see above.
      name: of the view, one of `VIEWS`.
    """
    view = VIEWS[name]
    columns, rows = table_of_group(group, view.TITLES)
    words = view.WORDS.format(first=group["networks"][0]["label"])
    table = html.section(f"{name}-numbers", f"In numbers: {group['name']}", words, table=(columns, rows))
    return [table, *view.sections(group, name)]


def sections(found, name):
    """The sections about a study: tables over seeds, and the first seed of each kind to look at.

    Args:
      found: the `result.json` of a script that looks inside.
      name: of the view, one of `VIEWS`.
    """
    view = VIEWS[name]
    told = [
        html.section(f"{name}-{key}", f"{view.TITLE}: {title.lower()}", _WORDS[key], table=(columns, rows))
        for key, title, columns, rows in tables(found["summary"], view.TITLES)
    ]
    first = {}
    for group in found["groups"]:
        first.setdefault(group["kind"], group)
    drawn = [view.overview(group, f"{name}-{place}") for place, group in enumerate(first.values(), 1)]
    return [*told, *(section for each in drawn for section in each)]


def of_study(folder):
    """The sections of a study's page about what was seen inside its networks; none where nobody looked.

    Args:
      folder: of the study, where each view has a folder of its own.
    """
    found = []
    for name in VIEWS:
        path = pathlib.Path(folder) / name / "result.json"
        if path.is_file():
            found += sections(json.loads(path.read_text(encoding="utf-8")), name)
    return found
