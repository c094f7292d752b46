"""A study's findings as one HTML page that needs no network: verdicts first, then pictures one can touch.

report.write(result, "runs/study-depth/report.html")
"""

import math

import jinja2

from keras_kd.reporting import figures, html
from keras_kd.reporting.formatting import percent, plain, points
from keras_kd.study.findings import claims


def write(result, path, sections=()):
    """Writes the page, atomically.

    Args:
      result: a `results.StudyResult`.
      path: of the page.
      sections: further ones, see `html.section`.
    """
    found = result.summary
    failed = [row for row in found.rows if not row.is_done]
    drawn = [section for section in (draw(found) for draw in SECTIONS) if section]
    html.write(
        "report.html",
        path,
        result=result,
        found=found,
        described=result.description,
        failed=failed,
        done=len(found.rows) - len(failed),
        sections=[*drawn, *sections],
        hours=duration(sum(row.seconds or 0 for row in found.rows)),
        sentence=sentence,
        amount=amount,
        percent=percent,
        plain=plain,
    )


def amount(number, verdict):
    """A number of a verdict in its unit: points of accuracy, but for the slope of C4."""
    return plain(number) if verdict.claim == "C4" else points(number)


def sentence(verdict):
    """A verdict in plain words; its first word is marked up."""
    word = jinja2.filters.do_mark_safe(f'<span class="word">{verdict.verdict.capitalize()}.</span> ')
    missing = verdict.missing
    if verdict.verdict == claims.SUPPORTED:
        return word + f"The data show it (p = {verdict.p_for:.3f}, corrected)."
    if verdict.verdict == claims.NOT_SUPPORTED:
        return word + f"The data show the opposite (p = {verdict.p_against:.3f}, corrected)."
    reason = f" To decide it the study lacks something: {missing}." if missing else ""
    return word + (
        f"The data show neither the claim (p = {verdict.p_for:.2f}) nor its opposite "
        f"(p = {verdict.p_against:.2f}).{reason}"
    )


def duration(seconds):
    """Hours and minutes."""
    minutes = math.ceil(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def _accuracy(found):
    """Accuracy against depth, a line with its band for each kind of network."""
    figure = html.figure("depth, layers", "test accuracy, %")
    groups = figures.by_label(found.conditions)
    for number, (label, group) in enumerate(groups.items()):
        group = sorted(group, key=lambda each: each.condition.depth)
        _line_with_band(
            figure,
            label,
            number,
            [each.condition.depth for each in group],
            *([getattr(each.accuracy, key) for each in group] for key in ("mean", "low", "high")),
        )
    figure.update_xaxes(tickvals=found.depths)
    best = max(found.conditions, key=lambda each: each.accuracy.mean, default=None)
    if best is None:
        return None
    words = (
        f"Mean over seeds, with the 95 % interval as a band. The most accurate condition is "
        f"{best.condition.label} at depth {best.condition.depth}, {percent(best.accuracy.mean)} %."
    )
    return html.section("accuracy", "Accuracy against depth", words, figure)


def _line_with_band(figure, label, number, x, mean, low, high):
    colour = figures.COLOURS[number % len(figures.COLOURS)]
    style = {"legendgroup": label, "line": {"color": colour}}
    mean, low, high = ([None if v is None else 100 * v for v in values] for values in (mean, low, high))
    if None not in low + high:
        figure.add_scatter(
            x=x + x[::-1],
            y=high + low[::-1],
            fill="toself",
            opacity=0.13,
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            **style | {"line": {"color": colour, "width": 0}},
        )
    figure.add_scatter(
        x=x,
        y=mean,
        name=label,
        mode="lines+markers",
        marker={"symbol": number % html.SYMBOLS, "size": 8},
        customdata=[[a, b] for a, b in zip(low, high, strict=True)],
        hovertemplate="depth %{x}: %{y:.1f} % (%{customdata[0]:.1f} to %{customdata[1]:.1f})" + html.NAME,
        **style,
    )


def _gains(found):
    """What each teacher gave, in each condition."""
    if not found.gains:
        return None
    figure = html.figure("gain over the same network alone, points (95 % interval)", None)
    names = [each.condition.name for each in found.gains]
    values = [each.gain for each in found.gains]
    figure.add_scatter(
        x=[100 * value.mean for value in values],
        y=names,
        mode="markers",
        marker={"color": figures.COLOURS[0], "size": 9},
        error_x={
            "array": [100 * (value.high - value.mean) if value.high is not None else 0 for value in values]
        },
        customdata=[each.condition.label for each in found.gains],
        hovertemplate="%{x:.1f} points<extra>%{customdata}</extra>",
        showlegend=False,
    )
    figure.add_vline(0, line_width=1)
    figure.update_layout(height=max(320, 120 + 26 * len(names)))
    figure.update_yaxes(autorange="reversed", automargin=True)
    rows = [
        [each.condition.name, points(v.mean), f"{points(v.low)} to {points(v.high)}", v.count]
        for each, v in zip(found.gains, values, strict=True)
    ]
    words = (
        "Accuracy of each taught network minus that of the same network alone, from the same initial weights "
        "on the same batches. kd-X names the teacher: r residual, p plain, then depth and width; T "
        "temperature, a alpha, k the epoch after which the teacher leaves."
    )
    table = (["taught network", "gain, points", "95 % interval", "seeds"], rows)
    return html.section("gains", "What each teacher gave", words, figure, table)


def _recovery(found):
    """Recovery against depth; where it is not defined it is said, not drawn."""
    entries = found.recoveries
    if not entries:
        return None
    defined = [each for each in entries if each.recovery.ratio is not None]
    figure = html.figure("depth, layers", "recovery = gain / drop")
    for number, (label, group) in enumerate(figures.by_label(defined).items()):
        figure.add_scatter(
            x=[each.condition.depth for each in group],
            y=[each.recovery.ratio for each in group],
            name=label,
            mode="lines+markers",
            marker={
                "symbol": number % html.SYMBOLS,
                "size": 9,
                "color": figures.COLOURS[number % len(figures.COLOURS)],
            },
            error_y={
                "symmetric": False,
                "array": [_reach(each.recovery.ratio, each.recovery.high) for each in group],
                "arrayminus": [_reach(each.recovery.low, each.recovery.ratio) for each in group],
            },
            hovertemplate="depth %{x}: %{y:.2f}" + html.NAME,
        )
    figure.update_xaxes(tickvals=sorted({each.condition.depth for each in entries}))
    figure.add_hline(1, line_width=1, line_dash="dot", annotation_text="all of the drop")
    figure.add_hline(0, line_width=1)
    rows = [
        [
            each.condition.name,
            points(each.recovery.drop.mean),
            points(each.recovery.gain.mean),
            "not defined" if each.recovery.ratio is None else plain(each.recovery.ratio),
            "n/a"
            if each.recovery.ratio is None
            else f"{plain(each.recovery.low)} to {plain(each.recovery.high)}",
        ]
        for each in entries
    ]
    words = (
        f"The share of the drop (residual minus plain) that the teacher brought back, with Fieller's 95 % "
        f"interval over seeds. In {len(entries) - len(defined)} of {len(entries)} it is not defined: there "
        f"the 95 % interval of the drop does not lie above zero, and a ratio would be noise."
    )
    table = (["taught network", "drop, points", "gain, points", "recovery", "95 % interval"], rows)
    return html.section("recovery", "Recovery against depth", words, figure if defined else None, table)


def _reach(low, high):
    """How far an interval reaches; studies of earlier versions have some without an end."""
    return 0.0 if None in (low, high) else high - low


def _advantage(found):
    """Gain against the teacher's advantage, each run a point."""
    if not found.points:
        return None
    figure = html.figure("teacher's advantage over the student alone, points", "gain, points")
    for number, (label, group) in enumerate(figures.by_label(found.points).items()):
        figure.add_scatter(
            x=[100 * each.advantage for each in group],
            y=[100 * each.gain for each in group],
            name=label,
            mode="markers",
            marker={
                "symbol": number % html.SYMBOLS,
                "size": 8,
                "color": figures.COLOURS[number % len(figures.COLOURS)],
            },
            customdata=[each.run for each in group],
            hovertemplate="%{customdata}<br>advantage %{x:.1f}, gain %{y:.1f}<extra></extra>",
        )
    words = "Each point is one taught run; both numbers are differences from the same network alone."
    if found.slope:
        line, within = found.slope.all_points, found.slope.within_students
        ends = [min(p.advantage for p in found.points), max(p.advantage for p in found.points)]
        figure.add_scatter(
            x=[100 * x for x in ends],
            y=[100 * (line.intercept + line.slope * x) for x in ends],
            mode="lines",
            line={"color": "black", "dash": "dash"},
            name="least squares",
            hoverinfo="skip",
        )
        words += (
            f" Slope through all points {plain(line.slope)}, R² {plain(line.explained)}; the student's own "
            f"luck is in both numbers and lifts it, and as points share students it has no interval. Within "
            f"students, where that luck is not: {plain(within.mean)} "
            f"({plain(within.low)} to {plain(within.high)}) points of gain per point of advantage."
        )
    rows = [[each.run, points(each.advantage), points(each.gain)] for each in found.points]
    table = (["run", "teacher's advantage, points", "gain, points"], rows)
    return html.section("advantage", "Gain against the teacher's advantage", words, figure, table)


def _curves(found):
    """Validation accuracy over the epochs."""
    if not found.curves:
        return None
    figure = html.figure("epoch", "validation accuracy, % (mean over seeds)")
    for number, curve in enumerate(found.curves):
        figure.add_scatter(
            x=list(range(1, len(curve.accuracy) + 1)),
            y=[100 * value for value in curve.accuracy],
            name=curve.condition.name,
            mode="lines",
            line={
                "color": figures.COLOURS[number % len(figures.COLOURS)],
                "dash": ("solid", "dash", "dot", "dashdot")[number // len(figures.COLOURS) % 4],
            },
            hovertemplate="epoch %{x}: %{y:.1f} %" + html.NAME,
        )
    words = "Click a name to hide its curve, click it twice to see it alone."
    marks = [1, *range(5, max(len(curve.accuracy) for curve in found.curves) + 1, 5)]
    rows = [
        [curve.condition.name, *(percent(dict(enumerate(curve.accuracy, 1)).get(mark)) for mark in marks)]
        for curve in found.curves
    ]
    table = (["network", *(f"epoch {mark}" for mark in marks)], rows)
    return html.section("curves", "Training curves", words, figure, table)


SECTIONS = (_accuracy, _gains, _recovery, _advantage, _curves)
