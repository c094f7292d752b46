"""A study's findings as charts, for its page and as pictures; each takes a `results.StudySummary`."""

import itertools

from keras_kd.reporting import charts
from keras_kd.reporting.formatting import counted, percent, plain, points, shared


def accuracy(found):
    """Accuracy against depth, a line with its band for each kind of network, or points without depths."""
    if not found.conditions:
        return None
    over_depth = len(found.depths) > 1
    shown = [each for each in found.conditions if not over_depth or each.condition.depth is not None]
    most = _most_accurate(found.conditions, over_depth)
    if not over_depth:
        conditions = [each.condition for each in shown]
        axis = "test accuracy, %"
        panel = _intervals(conditions, _as_percents(each.accuracy for each in shown), axis)
        words = f"Mean over seeds, with the 95 % interval. {most}"
        return charts.Chart("accuracy", "Accuracy", words, [panel])
    curves = _curves_over_depth(
        found,
        shown,
        lambda each: _percents([each.accuracy.mean, each.accuracy.low, each.accuracy.high]),
        True,
    )
    words = f"Mean over seeds, with the 95 % interval. {most}"
    if others := len(found.conditions) - len(shown):
        words += f" {counted(others, 'network')} without a depth {'is' if others == 1 else 'are'} not drawn."
    panel = charts.Panel("depth, layers", "test accuracy, %", curves, x_ticks=found.depths)
    return charts.Chart("accuracy", "Accuracy against depth", words, [panel])


def _most_accurate(conditions, over_depth):
    """Which condition that is, in a sentence."""
    best = max(conditions, key=lambda each: each.accuracy.mean)
    depth = best.condition.depth if over_depth else None
    where = "" if depth is None else f" at depth {depth}"
    return f"The most accurate condition is {best.condition.label}{where}, {percent(best.accuracy.mean)} %."


def gains(found):
    """What each teacher gave, in each condition."""
    if not found.gains:
        return None
    values = [each.gain for each in found.gains]
    conditions = [each.condition for each in found.gains]
    axis = "gain, points (95 % interval)"
    panel = _intervals(conditions, _as_percents(values), axis, levels=[(0, None)])
    rows = [
        [name, points(v.mean), _between(v), v.count]
        for name, v in zip([each.title for each in conditions], values, strict=True)
    ]
    words = (
        "Accuracy of each taught network minus that of the same network alone, from the same initial weights "
        "on the same batches. T is the temperature, alpha the weight of the teacher's term."
    )
    table = (["taught network", "gain, points", "95 % interval", "seeds"], rows)
    return charts.Chart("gains", "What each teacher gave", words, [panel], table)


def _between(estimate):
    if estimate.low is None:
        return "n/a"
    return f"{points(estimate.low)} to {points(estimate.high)}"


def _as_percents(estimates):
    """`[mean, low, high]` of each, times 100."""
    return [_percents([each.mean, each.low, each.high]) for each in estimates]


def _intervals(conditions, values, axis, levels=()):
    """A panel with an interval for each condition, one below the other: `[middle, low, high]` each."""
    begin, names, end = shared([each.title for each in conditions])
    middles, lows, highs = map(list, zip(*values, strict=True))
    labels = [each.label for each in conditions]
    curve = charts.Curve(None, 0, list(range(len(names))), middles, labels, "none", low=lows, high=highs)
    in_common = f"{begin}...{end}" if begin or end else None
    return charts.Panel(in_common, axis, [curve], categories=names, levels=list(levels), is_horizontal=True)


def recovery(found):
    """Recovery against depth; where it is not defined it is said, not drawn."""
    entries = found.recoveries
    if not entries:
        return None
    defined = [each for each in entries if each.recovery.ratio is not None]
    words = (
        "The share of the drop (residual minus plain) that the teacher brought back, with Fieller's 95 % "
        "interval over seeds."
    )
    if undefined := len(entries) - len(defined):
        words += (
            f" In {undefined} of {len(entries)} it is not defined: there the 95 % interval of the drop does "
            f"not lie above zero, and a ratio would be noise."
        )
    table = (
        ["taught network", "drop, points", "gain, points", "recovery", "95 % interval"],
        [_recovery_row(each.condition.title, each.recovery) for each in entries],
    )
    title, panels = "Recovery against depth" if len(found.depths) > 1 else "Recovery", []
    if defined:
        panels = [_recoveries(found, defined)]
    return charts.Chart("recovery", title, words, panels, table)


def _recoveries(found, entries):
    """The panel of those that are defined."""
    axis, levels = "recovery = gain / drop", [(1, "all of the drop"), (0, None)]
    if len(found.depths) == 1:
        values = [[each.recovery.ratio, each.recovery.low, each.recovery.high] for each in entries]
        return _intervals([each.condition for each in entries], values, axis, levels)
    curves = _curves_over_depth(
        found, entries, lambda each: [each.recovery.ratio, each.recovery.low, each.recovery.high]
    )
    return charts.Panel("depth, layers", axis, curves, x_ticks=found.depths, levels=levels)


def _recovery_row(name, found):
    is_defined = found.ratio is not None
    return [
        name,
        points(found.drop.mean),
        points(found.gain.mean),
        plain(found.ratio) if is_defined else "not defined",
        f"{plain(found.low)} to {plain(found.high)}" if is_defined else "n/a",
    ]


def advantage(found):
    """Gain against the teacher's advantage, each run a point."""
    if not found.points:
        return None
    curves = [
        charts.Curve(
            label,
            number,
            _percents(each.advantage for each in group),
            _percents(each.gain for each in group),
            [f"{each.run}, advantage {100 * each.advantage:.1f}, gain" for each in group],
            "none",
        )
        for number, label, group in _numbered(found, found.points)
    ]
    words = "Each point is one taught run; both numbers are differences from the same network alone."
    if found.slope:
        curves.append(_least_squares(found))
        words += _slope_words(found.slope)
    rows = [[each.run, points(each.advantage), points(each.gain)] for each in found.points]
    table = (["run", "teacher's advantage, points", "gain, points"], rows)
    panel = charts.Panel("teacher's advantage, points", "gain, points", curves)
    return charts.Chart("advantage", "Gain against the teacher's advantage", words, [panel], table)


def _least_squares(found):
    line = found.slope.all_points
    ends = [end(each.advantage for each in found.points) for end in (min, max)]
    values = _percents(line.intercept + line.slope * x for x in ends)
    return charts.Curve("least squares", None, _percents(ends), values, line="dash")


def _slope_words(slope):
    line, within = slope.all_points, slope.within_students
    told = ", it is not defined: the teachers differ too little in accuracy, or in too few seeds"
    if within.mean is not None:
        interval = f"{plain(within.low)} to {plain(within.high)}"
        told = f": {plain(within.mean)} ({interval}) points of gain per point of advantage"
    return (
        f" Slope through all points {plain(line.slope)}, R² {plain(line.explained)}; the student's own "
        f"luck is in both numbers and lifts it, and as points share students it has no interval. Within "
        f"students, where that luck is not{told}."
    )


def training_curves(found):
    """Validation accuracy over the epochs."""
    if not found.curves:
        return None
    curves = []
    kinds = _lines_of_depths(found.curves)
    for number, each in (
        (number, each) for number, _, group in _numbered(found, found.curves) for each in group
    ):
        epochs = list(range(1, len(each.accuracy) + 1))
        line, has_markers = kinds[each.condition.depth]
        places = [f"epoch {epoch}" for epoch in epochs]
        values = _percents(each.accuracy)
        name = each.condition.title
        curves.append(charts.Curve(name, number, epochs, values, places, line, has_markers=has_markers))
    words = (
        "Mean over the seeds that reached each epoch; each depth has its kind of line. Click a name to hide "
        "its curve, click it twice to see it alone."
    )
    marks = [1, *range(5, max(len(each.accuracy) for each in found.curves) + 1, 5)]
    rows = [
        [each.condition.title, *(percent(dict(enumerate(each.accuracy, 1)).get(mark)) for mark in marks)]
        for each in found.curves
    ]
    table = (["network", *(f"epoch {mark}" for mark in marks)], rows)
    panel = charts.Panel("epoch", "validation accuracy, %", curves)
    return charts.Chart("curves", "Training curves", words, [panel], table)


def _lines_of_depths(entries):
    """`{depth: (line, whether points are marked)}`: of the first depths without marks, of the others with."""
    depths = dict.fromkeys(each.condition.depth for each in entries)
    kinds = [(line, has_markers) for has_markers in (False, True) for line in charts.LINES[:-1]]
    return dict(zip(depths, itertools.cycle(kinds), strict=False))


def _by_label(entries):
    """`{label of the condition: [entries]}`, in order."""
    found = {}
    for entry in entries:
        found.setdefault(entry.condition.label, []).append(entry)
    return found


def _numbered(found, entries):
    """`(number, label, entries)` of each label; by its number a network has its colour on all charts.

    Networks of most depths are the first, so that residual and plain ones have the colours that they have on
    the pages about their insides; small teachers of one depth follow.
    """
    groups = _by_label(found.conditions)
    numbers = {
        label: number for number, label in enumerate(sorted(groups, key=lambda label: -len(groups[label])))
    }
    by_number = sorted(_by_label(entries).items(), key=lambda each: numbers.get(each[0], len(numbers)))
    for label, group in by_number:
        yield numbers.get(label, len(numbers)), label, group


# More bands than these hide each other.
_MOST_BANDS = 5


def _curves_over_depth(found, entries, interval_of, with_bands=False):
    """A curve for each label, of the `[middle, low, high]` of its entries.

    Intervals are bands, where they are asked for and few, of networks of several depths; else they are bars,
    side by side at each depth.
    """
    groups = [
        (number, label, sorted(group, key=lambda each: each.condition.depth))
        for number, label, group in _numbered(found, entries)
    ]
    with_bands = with_bands and sum(len(group) > 1 for *_, group in groups) <= _MOST_BANDS
    curves = []
    for number, label, group in groups:
        depths = [each.condition.depth for each in group]
        middles, lows, highs = map(list, zip(*map(interval_of, group), strict=True))
        places = [f"depth {depth}" for depth in depths]
        is_band = with_bands and len(group) > 1
        curves.append(
            charts.Curve(label, number, depths, middles, places, low=lows, high=highs, is_band=is_band)
        )
    return charts.side_by_side(curves)


def _percents(values):
    return [None if value is None else 100 * value for value in values]


CHARTS = (accuracy, gains, recovery, advantage, training_curves)


def described(found):
    """The `charts.Chart`s for which a study has numbers, in the order of its page."""
    return [chart for describe in CHARTS for chart in [describe(found)] if chart]


# A line over depth is none with one depth alone, and a cloud of points says nothing without its line.
_PICTURES = {
    "accuracy_over_depth": (accuracy, lambda found: len(found.depths) > 1),
    "gains": (gains, lambda found: True),
    "recovery_over_depth": (recovery, lambda found: len(found.depths) > 1),
    "gain_over_advantage": (advantage, lambda found: found.slope is not None),
}


def pictures(found):
    """`{name: matplotlib figure}`, of what there is to see."""
    drawn = {}
    for name, (describe, is_worth_it) in _PICTURES.items():
        chart = describe(found) if is_worth_it(found) else None
        if chart and chart.panels:
            drawn[name] = charts.to_matplotlib(chart)
    return drawn
