"""What analyses found inside the networks of a study, over its seeds: numbers, tables, sections of pages."""

import dataclasses
import pathlib

from keras_kd.analysis import answers, session
from keras_kd.analysis.landscape import report as landscape_report
from keras_kd.analysis.results import GroupResult, worth_of_an_image
from keras_kd.analysis.reuse import report as reuse_report
from keras_kd.reporting import formatting, html
from keras_kd.study.findings import report as study_report
from keras_kd.study.findings.networks import PLAIN, RESIDUAL, TAUGHT, pairs_of
from keras_kd.study.findings.results import StudyResult
from keras_kd.utils import files, run_dir, statistics
from keras_kd.utils.records import field_values

REPORTS = {each.name: each for each in (landscape_report.REPORT, reuse_report.REPORT)}


@dataclasses.dataclass(frozen=True)
class SeedEstimate:
    """A number of one network, or a difference between two, over the seeds of a study.

    Attributes:
      kind: of the networks, in words.
      label: of the network, or "one minus other".
      measure: name of the number.
      missing: how many seeds lack it; then mean and interval are None, as those that have it may be the
        mild ones.
      mean, low, high, deviation, count: see `statistics.Estimate`; None for what is not finite.
    """

    kind: str
    label: str
    measure: str
    missing: int
    mean: float | None
    low: float | None
    high: float | None
    deviation: float | None
    count: int


@dataclasses.dataclass(frozen=True)
class SeedSummary:
    """Means over seeds, and by how much the student differs from its twins.

    Attributes:
      means: `SeedEstimate`s of the networks.
      differences: those of pairs of networks, paired by seed: the taught one minus its twins, and each that
        lost its shortcuts in training minus the residual twin and the one of `LABELS` that trained like it.
    """

    means: list
    differences: list

    def to_json(self):
        return {
            "cells": [dataclasses.asdict(each) for each in self.means],
            "differences": [dataclasses.asdict(each) for each in self.differences],
        }

    @classmethod
    def from_json(cls, values):
        return cls(
            *(
                [SeedEstimate(**field_values(SeedEstimate, each)) for each in values[name]]
                for name in ("cells", "differences")
            )
        )


def summarize(groups, measures, percent=()):
    """The `SeedSummary` of an analysis of a study.

    Args:
      groups: `GroupResult`s; each has the networks of `networks.LABELS`.
      measures: names of numbers; a network may lack one, and a seed a network.
      percent: those of them that are shares of the images: they are whole numbers of images.
    """
    means, differences = [], []
    for kind in dict.fromkeys(group.kind for group in groups):
        alike = [group for group in groups if group.kind == kind]
        worth = worth_of_an_image(alike)
        rows = [{network.label: network for network in group.result.networks} for group in alike]
        labels = list(dict.fromkeys(label for row in rows for label in row))
        for measure in measures:
            resolution = worth if measure in percent else 0.0
            values = {label: [getattr(row.get(label), measure, None) for row in rows] for label in labels}
            for label, numbers in values.items():
                means += _estimate(kind, label, measure, numbers, resolution)
            for one, other in _compared(labels):
                pairs = zip(values[one], values[other], strict=True)
                minus = [None if None in pair else pair[0] - pair[1] for pair in pairs]
                differences += _estimate(kind, f"{one} minus {other}", measure, minus, resolution)
    return SeedSummary(means, differences)


def _compared(labels):
    """`[(label, label)]`: whose difference is of interest."""
    removed = [label for label in labels if label not in (RESIDUAL, PLAIN, TAUGHT)]
    pairs = [(label, other) for label in removed for other in (RESIDUAL, label.partition(", ")[0])]
    return [(TAUGHT, RESIDUAL), (TAUGHT, PLAIN), *pairs]


def _estimate(kind, label, measure, numbers, resolution):
    """A list of one, or of none where no seed has the number."""
    missing = numbers.count(None)
    if missing == len(numbers):
        return []
    there = [number for number in numbers if number is not None]
    estimate = files.plain_values(statistics.estimate(there, resolution=resolution))
    if missing:
        estimate |= {"mean": None, "low": None, "high": None}
    return [SeedEstimate(kind, label, measure, missing, **estimate)]


def intervals_in(summary):
    """How many intervals the tables about a `SeedSummary` show: those of differences."""
    return sum(1 for each in summary.differences if each.low is not None)


def tables(summary, titles, percent=()):
    """`[(key, title, words, columns, rows)]`: every measure over seeds, and the paired differences.

    The intervals of the differences hold at once, beside those of the sentences that stand above them.

    Args:
      summary: a `SeedSummary`.
      titles: `{measure: in words}`.
      percent: those measures that are shares, told in % or points.
    """
    count = intervals_in(summary)
    confidence = answers.confidence(max(1, count), others=1)
    means = {id(each): _mean(_scaled(each, percent)) for each in summary.means}
    differences = {id(each): _interval(_scaled(each, percent), confidence) for each in summary.differences}
    words = "Paired by seed, initial weights and batches. One seed: no interval."
    of_differences = "Differences over seeds", words
    if count:
        of_differences = (
            f"Differences over seeds, corrected for {count} intervals",
            f"Paired by seed, initial weights and batches: mean and Student's interval, corrected for the "
            f"{count} intervals of this table and for those of the sentences (Bonferroni: "
            f"{100 * confidence:.2f} % each), so that all hold at once in 95 % of studies.",
        )
    parts = (
        ("cells", "Over seeds", "Mean and standard deviation over seeds.", summary.means, means),
        ("differences", *of_differences, summary.differences, differences),
    )
    return [
        (key, title, words, *_table(estimates, texts, titles))
        for key, title, words, estimates, texts in parts
    ]


def _scaled(estimate, percent):
    """In points, where its measure is a share."""
    if estimate.measure not in percent or estimate.missing:
        return estimate
    values = {name: getattr(estimate, name) for name in ("mean", "low", "high", "deviation")}
    scaled = {name: None if value is None else 100 * value for name, value in values.items()}
    return dataclasses.replace(estimate, **scaled)


def _mean(estimate):
    spread = "" if estimate.deviation is None else f" (sd {formatting.number(estimate.deviation)})"
    return formatting.number(estimate.mean) + spread


def _interval(estimate, confidence):
    if estimate.low is None:
        return formatting.number(estimate.mean)
    return formatting.interval(statistics.with_confidence(estimate, confidence))


def _table(estimates, texts, titles):
    labels = list(dict.fromkeys(each.label for each in estimates))
    rows = {}
    for each in estimates:
        lacks = f"n/a in {each.missing} of {each.missing + each.count} seeds"
        text = lacks if each.missing else texts[id(each)]
        rows.setdefault(f"{each.kind}: {titles[each.measure]}", {})[each.label] = text
    table = [[name, *(texts.get(label, "n/a") for label in labels)] for name, texts in rows.items()]
    return ["measure", *labels], table


def sections(groups, summary, report):
    """The sections about a study: the first seed of each kind drawn, and tables over seeds.

    Args:
      groups: `GroupResult`s of the analysis.
      summary: their `SeedSummary`.
      report: the `AnalysisReport` of the analysis.
    """
    first = {}
    for group in groups:
        first.setdefault(group.kind, group)
    drawn = []
    for place, group in enumerate(first.values(), 1):
        drawn += report.overview(group, f"{report.name}-{place}")
    numbers = [
        html.section(f"{report.name}-{key}", f"{report.title}: {title.lower()}", words, table=(columns, rows))
        for key, title, words, columns, rows in tables(summary, report.measures, report.percent)
    ]
    return [*drawn[:1], *numbers, *drawn[1:]]


def answer(record, report):
    """What an analysis found, an `answers.Answer`: of a study over its seeds.

    Args:
      record: a `session.AnalysisRecord`.
      report: the `AnalysisReport` of the analysis.
    """
    return report.answer(record.groups, intervals_in(record.summary) if record.summary else 0)


def sections_of_study(folder):
    """The sections of a study's page about the insides of its networks; none where no analysis was made.

    Args:
      folder: of the study, where each analysis has a folder of its own.
    """
    found = []
    for name, report in REPORTS.items():
        path = pathlib.Path(folder) / name / run_dir.RESULT
        if path.is_file():
            with files.interpreting(path):
                stored = files.read_json(path)
                groups = [GroupResult.from_json(each, report.result_type) for each in stored["groups"]]
                summary = SeedSummary.from_json(stored["summary"])
            found += [_in_short(groups, summary, report), *sections(groups, summary, report)]
    return found


def _in_short(groups, summary, report):
    """The sentences of an analysis as a section; groups of earlier versions do not say what is compared."""
    compared = [
        dataclasses.replace(group, pairs=pairs_of([network.label for network in group.result.networks]))
        for group in groups
    ]
    told = report.answer(compared, intervals_in(summary))
    words = " ".join([*told.sentences, *told.basis])
    return html.section(f"{report.name}-answer", f"{report.title}: in short", words)


def write(record, report, folder):
    """Writes an analysis of any run, of a study with what its seeds have in common, and renews its page.

    Args:
      record: a `session.AnalysisRecord` without summary.
      report: the `AnalysisReport` of the analysis.
      folder: of the analysis.

    Returns:
      `(record, page)`: the record with its summary, and the path of the study's page or None.
    """
    if record.groups[0].kind is None:
        session.write(record, report, folder)
        return record, None
    summary = summarize(record.groups, report.compared, report.percent)
    record = dataclasses.replace(record, summary=summary)
    shown = sections(record.groups, summary, report)
    session.write(record, report, folder, shown, answer(record, report))
    return record, renew_report(record.run)


def printed_tables(record, report):
    """`[(title, columns, rows)]`: the numbers of a run's networks; of a study's over its seeds."""
    if record.summary is None:
        return [(group.name, *report.table(group)) for group in record.groups]
    found = tables(record.summary, report.measures, report.percent)
    return [(title, columns, rows) for _, title, _, columns, rows in found]


def renew_report(folder):
    """Writes a study's page again, with what was found inside its networks; returns its path."""
    folder = pathlib.Path(folder)
    path = folder / run_dir.RESULT
    with study_report.alone(folder):
        with files.interpreting(path):
            result = StudyResult.from_json(files.read_json(path))
        study_report.write(result, folder / study_report.PAGE, sections=sections_of_study(folder))
    return folder / study_report.PAGE
