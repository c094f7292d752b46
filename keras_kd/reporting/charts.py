"""Curves that are described once, for the page to touch and for the file to print.

chart = Chart("ranks", "Effective rank", words, [Panel("layer", "dimensions", curves)])
pages_section, figure = section(chart, "depth 20, seed 0", "reuse"), printed(chart)
"""

import dataclasses

import numpy as np

from keras_kd.reporting import figures, html


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line, of a network as a rule.

    Attributes:
      label: in the legend.
      number: of the network; chooses colour and marker.
      x, y: numbers; None in `y` leaves a gap.
      places: what `x` stands for, in words.
      dashed: whether the line is.
    """

    label: str
    number: int
    x: list
    y: list
    places: list
    dashed: bool = False


@dataclasses.dataclass(frozen=True)
class Panel:
    """Axes with curves.

    Attributes:
      x_title, y_title: of the axes.
      curves: `Curve`s.
      logarithmic: "", "y", or "xy": which axes are.
    """

    x_title: str
    y_title: str
    curves: list
    logarithmic: str = ""


@dataclasses.dataclass(frozen=True)
class Chart:
    """Panels side by side, and what stands below them.

    Attributes:
      name: of the picture's file, and in the section's id.
      title, words: of the section.
      panels: `Panel`s.
      table: `(columns, rows)`, or None.
    """

    name: str
    title: str
    words: str
    panels: list
    table: tuple | None = None


def section(chart, about, name):
    """The section of a page that shows a chart.

    Args:
      chart: a `Chart`.
      about: what it is of, in words.
      name: prefix of the section's id.
    """
    return html.section(
        f"{name}-{chart.name}", f"{chart.title}: {about}", chart.words, to_plotly(chart), chart.table
    )


_FEW = 12  # steps of an axis that each get a number


def to_plotly(chart):
    """The chart as a Plotly figure."""
    figure = html.figure(None, None).set_subplots(1, len(chart.panels))
    for column, panel in enumerate(chart.panels, 1):
        place = {"row": 1, "col": column}
        for curve in panel.curves:
            colour = colour_of(curve.number)
            figure.add_scatter(
                x=curve.x,
                y=curve.y,
                customdata=curve.places,
                name=curve.label,
                legendgroup=curve.label,
                showlegend=column == 1,
                mode="lines+markers",
                line={"color": colour, "dash": "dot" if curve.dashed else "solid"},
                marker={"symbol": curve.number % html.SYMBOLS, "size": 8, "color": colour},
                hovertemplate="%{customdata}: %{y:.3g}" + html.NAME,
                **place,
            )
        kinds = {axis: "log" if axis in panel.logarithmic else None for axis in "xy"}
        figure.update_xaxes(
            title=panel.x_title, dtick=1 if _counts(panel) else None, type=kinds["x"], **place
        )
        figure.update_yaxes(title=panel.y_title, type=kinds["y"], **place)
    return figure


def _counts(panel):
    """Whether x are a few whole numbers, each of which is named."""
    values = [x for curve in panel.curves for x in curve.x]
    return all(isinstance(x, int) for x in values) and max(values, default=0) <= _FEW


_MARKERS = "osD^vPX*"


def to_matplotlib(chart):
    """The chart as a matplotlib figure."""
    figure = figures.blank(6 * len(chart.panels), 4)
    axes = figure.subplots(1, len(chart.panels), squeeze=False).ravel()
    for axis, panel in zip(axes, chart.panels, strict=True):
        for curve in panel.curves:
            axis.plot(
                curve.x,
                np.array(curve.y, float),
                color=colour_of(curve.number),
                marker=_MARKERS[curve.number % len(_MARKERS)],
                linestyle=":" if curve.dashed else "-",
                label=curve.label,
            )
        axis.set(xlabel=panel.x_title, ylabel=panel.y_title)
        if _counts(panel):
            axis.xaxis.get_major_locator().set_params(integer=True)
        for name, scale in (("x", axis.set_xscale), ("y", axis.set_yscale)):
            if name in panel.logarithmic:
                scale("log")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    return figure


def colour_of(number):
    """The colour of a network by its number."""
    return figures.COLOURS[number % len(figures.COLOURS)]
