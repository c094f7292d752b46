"""Charts as pictures: matplotlib figures."""

import numpy as np
from matplotlib import patheffects, ticker

from keras_kd.reporting import figures
from keras_kd.reporting.charts.description import ContourPanel, HeatmapPanel, colour_of

_LINES = {
    "solid": "-",
    "dot": ":",
    "dash": "--",
    "dashdot": "-.",
    "longdash": (0, (10, 3)),
    "longdashdot": (0, (10, 3, 2, 3)),
    "none": "none",
}


def to_matplotlib(chart):
    """The chart as a matplotlib figure."""
    rows, columns = chart.grid
    width, height = _size(chart.panels[0], columns)
    width = columns * width + (0.8 if chart.colours else 0)
    labels = list(dict.fromkeys(label for panel in chart.panels for label in _labels(panel)))
    side_by_side = _side_by_side(labels, width)
    figure = figures.blank(width, rows * height + 0.2 * -(-len(labels) // side_by_side))
    axes = figure.subplots(rows, columns, squeeze=False)
    for place in axes.ravel()[len(chart.panels) :]:
        place.set_axis_off()
    for panel, row, column in chart.places():
        drawn = _draw(axes[row - 1, column - 1], panel, chart.colours)
    if chart.colours:
        figure.colorbar(
            drawn, ax=axes, label=chart.colours.drawn_title, ticks=_ticks_within(*chart.colours.ends)
        )
    elif labels:
        handles = {}
        for axis in axes.ravel():
            shown, names = axis.get_legend_handles_labels()
            handles |= dict(zip(names, shown, strict=True))
        figure.legend(handles.values(), handles, loc="outside lower center", fontsize=8, ncols=side_by_side)
    return figure


def _ticks_within(low, high):
    """Round numbers that a scale has; those beyond its ends would run into each other there."""
    return [tick for tick in ticker.MaxNLocator(6).tick_values(low, high) if low <= tick <= high]


def _size(panel, columns):
    """Width and height of one of so many panels beside each other, in inches."""
    if isinstance(panel, HeatmapPanel):
        return 3.4, 3.4
    if isinstance(panel, ContourPanel):
        return 4.2, 4.0
    if panel.is_horizontal:
        return 8.0, 1.2 + sum(0.3 + 0.16 * name.count("\n") for name in panel.wrapped("\n"))
    return max(8.0 if columns == 1 else 6.0, 0.5 * len(panel.categories) + 2), 4.0


_LETTERS = 17  # of the legend that fit into an inch


def _side_by_side(labels, width):
    """How many labels of a legend fit side by side into so many inches, with their lines."""
    longest = max(map(len, labels), default=0) + 8
    return max(1, min(len(labels), int(_LETTERS * width / longest)))


def _labels(panel):
    return [each.label for each in (*getattr(panel, "curves", ()), *getattr(panel, "bars", ())) if each.label]


def _draw(axis, panel, colours):
    if isinstance(panel, HeatmapPanel):
        return _draw_heatmap(axis, panel, colours)
    if isinstance(panel, ContourPanel):
        return _draw_contours(axis, panel, colours)
    return _draw_panel(axis, panel)


# --------------------------------------------------------------------------- curves and bars


def _draw_panel(axis, panel):
    for curve in panel.drawn_curves:
        _draw_curve(axis, curve, panel.is_horizontal)
    _draw_bars(axis, panel)
    for level, _ in panel.levels:
        (axis.axvline if panel.is_horizontal else axis.axhline)(level, color="black", linewidth=0.8)
    own, value = (axis.yaxis, axis.xaxis) if panel.is_horizontal else (axis.xaxis, axis.yaxis)
    own.set_label_text(panel.x_title or "")
    value.set_label_text(panel.y_title or "")
    if panel.categories:
        turned = {} if panel.is_horizontal else {"rotation": 90}
        own.set_ticks(range(len(panel.categories)), panel.wrapped("\n"), fontsize=8, **turned)
    elif panel.x_ticks is not None:
        own.set_ticks(panel.x_ticks)
    elif panel.is_whole:
        own.get_major_locator().set_params(integer=True)
    for name, scale in (("x", axis.set_xscale), ("y", axis.set_yscale)):
        if name in panel.logarithmic:
            scale("log")
    if panel.bounds:
        name = "x" if panel.is_horizontal else "y"
        low, high = value.get_view_interval()
        axis.set(**{f"{name}lim": (max(low, panel.bounds[0]), min(high, panel.bounds[1]))})
    if panel.is_horizontal:
        axis.invert_yaxis()
    axis.grid(alpha=0.3)


def _draw_curve(axis, curve, is_horizontal):
    colour, y, reaches = colour_of(curve.number), np.array(curve.y, float), curve.reaches()
    if curve.has_band:
        axis.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
    points = (y, curve.x) if is_horizontal else (curve.x, y)
    style = {
        "color": colour,
        "marker": curve.marker and curve.marker[1],
        "linestyle": _LINES[curve.line],
        "label": curve.label,
    }
    if reaches:
        axis.errorbar(*points, **{"xerr" if is_horizontal else "yerr": reaches}, capsize=3, **style)
    else:
        axis.plot(*points, **style)


def _draw_bars(axis, panel):
    width = 0.8 / max(1, len(panel.bars))
    for place, bars in enumerate(panel.bars):
        left = np.arange(len(bars.heights)) + (place - (len(panel.bars) - 1) / 2) * width
        axis.bar(left, np.array(bars.heights, float), width, color=colour_of(bars.number), label=bars.label)


# --------------------------------------------------------------------------- colours


def _draw_heatmap(axis, panel, colours):
    low, high = colours.ends
    drawn = axis.imshow(colours.drawn(panel.values), vmin=low, vmax=high, cmap=colours.name, aspect="auto")
    axis.set_title(panel.title, fontsize=9)
    for own, names in ((axis.xaxis, panel.columns), (axis.yaxis, panel.rows)):
        own.set_ticks(_few(len(names)), [names[i] for i in _few(len(names))], fontsize=6)
    axis.xaxis.set_tick_params(rotation=90)
    return drawn


def _few(count):
    """Places of at most `_TICKS` of so many names, evenly apart."""
    return range(0, count, -(-count // _TICKS))


_TICKS = 12


def _outlined(width):
    """White with a dark edge of so many points is seen on dark and on light ground."""
    return {"path_effects": [patheffects.withStroke(linewidth=width, foreground="black")]}


def _draw_contours(axis, panel, colours):
    heights = np.ma.masked_invalid(colours.drawn(panel.values))
    levels = np.linspace(*colours.ends, 21)
    drawn = axis.contourf(panel.x, panel.y, heights, levels=levels, cmap=colours.name, extend="both")
    axis.set_facecolor("lightgrey")  # holes
    if panel.path:
        axis.plot(
            *zip(*panel.path, strict=True), "o-", color="white", markersize=3, linewidth=1, **_outlined(2.5)
        )
    for label, place in panel.marks.items():
        axis.plot(*place, "x", color="white", **_outlined(3))
        style = {"textcoords": "offset points", "color": "white", "ha": "center", "fontsize": 8}
        axis.annotate(label, place, (0, 5), **style, **_outlined(2))
    axis.set_title(panel.title, fontsize=10)
    axis.set(xlabel=panel.x_title, ylabel=panel.y_title)
    return drawn
