"""What was seen inside the networks of a study: numbers over seeds, sections of pages.

A view is a module that draws what one script found about a group of networks: `TITLE`, `TITLES` (`{measure:
title}`), `sections(group, name)`, `overview(group, name)` and `pictures(group)`. A group is `{"name",
"depth", "seed", "networks": [{"label", measure: number}], ...}`.
"""

import json
import pathlib

from keras_kd import comparisons, landscape_pictures, pages, reuse_pictures, storage

VIEWS = {"landscape": landscape_pictures, "reuse": reuse_pictures}

RESIDUAL, PLAIN, TAUGHT = LABELS = ("residual", "plain", "plain + KD")


def summarise(groups, measures):
    """Means over seeds, and by how much the taught network differs from its twins.

    Args:
      groups: of a study; those of one depth have the same labels.
      measures: names of numbers; a network may lack one.

    Returns:
      `{"cells": [...], "differences": [...]}`: entries with `"depth"`, `"label"`, `"measure"` and a
      `comparisons.Estimate`.
    """
    found = {"cells": [], "differences": []}
    for depth in sorted({group["depth"] for group in groups}):
        rows = [
            {network["label"]: network for network in group["networks"]}
            for group in groups
            if group["depth"] == depth
        ]
        for measure in measures:
            values = {label: [row[label].get(measure) for row in rows] for label in LABELS}
            for label, numbers in values.items():
                found["cells"] += _estimate(depth, label, measure, numbers)
            for other in (RESIDUAL, PLAIN):
                pairs = zip(values[TAUGHT], values[other], strict=True)
                minus = [None if None in pair else pair[0] - pair[1] for pair in pairs]
                found["differences"] += _estimate(depth, f"{TAUGHT} minus {other}", measure, minus)
    return found


def _estimate(depth, label, measure, numbers):
    """A list of one, or of none where a seed lacks the number."""
    if None in numbers:
        return []
    estimate = storage.plain_values(comparisons.estimate(numbers))
    return [{"depth": depth, "label": label, "measure": measure, **estimate}]


def tables(summary, titles):
    """`[(key, title, columns, rows)]`: every measure over seeds, and the paired differences."""
    found = []
    for key, title in (("cells", "Over seeds"), ("differences", "Differences over seeds")):
        labels = list(dict.fromkeys(entry["label"] for entry in summary[key]))
        rows = {}
        for entry in summary[key]:
            name = f"depth {entry['depth']}: {titles[entry['measure']]}"
            rows.setdefault(name, {})[entry["label"]] = pages.interval(entry)
        table = [[name, *(cells.get(label, "n/a") for label in labels)] for name, cells in rows.items()]
        found.append((key, title, ["measure", *labels], table))
    return found


def table_of_group(group, titles):
    """`(columns, rows)`: every measure of the networks of one group."""
    networks = group["networks"]
    rows = [
        [title, *(pages.number(network.get(key)) for network in networks)]
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
    table = pages.section(f"{name}-numbers", f"In numbers: {group['name']}", words, table=(columns, rows))
    return [table, *view.sections(group, name)]


def sections(found, name):
    """The sections about a study: tables over seeds, and the first seed of each depth to look at.

    Args:
      found: the `result.json` of a script that looks inside.
      name: of the view, one of `VIEWS`.
    """
    view = VIEWS[name]
    told = [
        pages.section(f"{name}-{key}", f"{view.TITLE}: {title.lower()}", _WORDS[key], table=(columns, rows))
        for key, title, columns, rows in tables(found["summary"], view.TITLES)
    ]
    first = {}
    for group in found["groups"]:
        first.setdefault(group["depth"], group)
    drawn = [view.overview(group, f"{name}-{depth}") for depth, group in first.items()]
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
