"""What is on a chart: panels of curves and bars, of matrices as colours, of surfaces."""

import dataclasses
import textwrap

import numpy as np

from keras_kd.reporting.figures import COLOURS

# As Plotly names them; the last is of points alone.
LINES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "none")

# Markers as Plotly and matplotlib name them; their number and that of the colours have no common divisor.
MARKERS = (
    ("circle", "o"),
    ("square", "s"),
    ("diamond", "D"),
    ("triangle-up", "^"),
    ("triangle-down", "v"),
    ("cross", "P"),
    ("x", "X"),
    ("star", "*"),
    ("pentagon", "p"),
    ("hexagon", "h"),
    ("triangle-left", "<"),
)


# Of a category.
LETTERS_OF_A_LINE = 44

# What an accuracy in % can be.
PERCENT = (0, 100)


def as_numbers(values):
    """An array, with NaN for None."""
    return np.array(values, float)


def colour_of(number):
    """The colour of a network by its number; black for None, which a dark page turns."""
    return "#000000" if number is None else COLOURS[number % len(COLOURS)]


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line or points, of a network as a rule.

    Attributes:
      label: in the legend; None: it has no place there.
      number: of the network; chooses colour and marker. None: black, without markers.
      x, y: numbers; None in `y` leaves a gap.
      places: what each point stands for, in words; empty: nothing is said of points.
      line: of `LINES`; "none": points alone.
      has_markers: whether points are marked.
      low, high: ends of an interval about each `y`, or None; None within them: that end is not known.
      is_band: whether intervals are a band along the line, or bars. No band where an end is not known.

    Raises:
      ValueError: for an unknown line, or lists of different lengths.
    """

    label: str | None
    number: int | None
    x: list
    y: list
    places: list = dataclasses.field(default_factory=list)
    line: str = "solid"
    has_markers: bool = True
    low: list | None = None
    high: list | None = None
    is_band: bool = False

    def __post_init__(self):
        if self.line not in LINES:
            raise ValueError(f"line must be one of {', '.join(LINES)}. Received: {self.line!r}")
        lists = (self.x, self.y, self.low, self.high, self.places or self.x)
        lengths = {len(values) for values in lists if values is not None}
        if len(lengths) > 1:
            raise ValueError(f"a curve's lists must have one length. Received: {sorted(lengths)}")

    @property
    def marker(self):
        """As `(Plotly's name, matplotlib's)`; None without."""
        return MARKERS[self.number % len(MARKERS)] if self.has_markers and self.number is not None else None

    @property
    def has_band(self):
        return self.is_band and self.low is not None and None not in [*self.low, *self.high]

    def reaches(self):
        """How far error bars reach below and above each `y`, or None without; 0 where an end is not known."""
        if self.low is None or self.is_band:
            return None
        return tuple(
            [0.0 if None in (end, y) else abs(end - y) for end, y in zip(ends, self.y, strict=True)]
            for ends in (self.low, self.high)
        )

    def within(self, least, most):
        """The same with its intervals cut to what its values can be."""
        if self.low is None:
            return self
        low, high = (
            [None if end is None else min(max(end, least), most) for end in ends]
            for ends in (self.low, self.high)
        )
        return dataclasses.replace(self, low=low, high=high)

    def shifted(self, by):
        """The same, so far along x."""
        return dataclasses.replace(self, x=[float(x + by) for x in self.x])


# Of the way to the next place: how far apart points of one place are at most, and all of them together.
_APART, _TOGETHER = 0.06, 0.7


def side_by_side(curves):
    """The same curves, those with error bars moved along x so that none hides another."""
    places = sorted({x for curve in curves for x in curve.x})
    count = sum(curve.reaches() is not None for curve in curves)
    if len(places) < 2 or count < 2:
        return curves
    apart = min(_APART, _TOGETHER / count) * min(np.diff(places))
    shifts = iter(apart * (np.arange(count) - (count - 1) / 2))
    return [curve.shifted(next(shifts)) if curve.reaches() else curve for curve in curves]


@dataclasses.dataclass(frozen=True)
class Bars:
    """One bar at each category of a panel.

    Attributes:
      label, number: as for `Curve`.
      heights: one for each category; None: no bar.
    """

    label: str
    number: int
    heights: list


@dataclasses.dataclass(frozen=True)
class Panel:
    """Axes with curves and bars.

    Attributes:
      x_title, y_title: of the axes.
      curves: `Curve`s.
      logarithmic: "", "y", or "xy": which axes are.
      bars: `Bars`, side by side.
      categories: what stands at 0, 1, ... of the x axis; empty: numbers.
      x_ticks: where the axis is marked; None: anywhere.
      levels: `(y, text)` of thin lines across.
      is_horizontal: whether the x axis runs down the page, as for long categories.
      bounds: `(low, high)` of what the y axis can show: neither axis nor intervals go beyond. None: anything,
        but for an "accuracy, %", which lies in `PERCENT`.
    """

    x_title: str | None
    y_title: str
    curves: list = dataclasses.field(default_factory=list)
    logarithmic: str = ""
    bars: list = dataclasses.field(default_factory=list)
    categories: list = dataclasses.field(default_factory=list)
    x_ticks: list | None = None
    levels: list = dataclasses.field(default_factory=list)
    is_horizontal: bool = False
    bounds: tuple | None = None

    def __post_init__(self):
        if self.bounds is None and "accuracy, %" in self.y_title:
            object.__setattr__(self, "bounds", PERCENT)  # as frozen dataclasses set their fields

    @property
    def drawn_curves(self):
        """The curves, with their intervals cut at the bounds."""
        return self.curves if self.bounds is None else [curve.within(*self.bounds) for curve in self.curves]

    def wrapped(self, line_break):
        """The categories as they stand beside the axis, in lines where it runs down the page."""
        if not self.is_horizontal:
            return self.categories
        return [line_break.join(textwrap.wrap(each, LETTERS_OF_A_LINE)) for each in self.categories]

    @property
    def is_whole(self):
        """Whether all x are whole numbers."""
        return all(isinstance(x, int) for curve in self.curves for x in curve.x)

    @property
    def most(self):
        """The largest x; 0 without any."""
        return max((x for curve in self.curves for x in curve.x), default=0)


@dataclasses.dataclass(frozen=True)
class HeatmapPanel:
    """A matrix as colours.

    Attributes:
      title: above it.
      values: `[rows][columns]`, row 0 on top; None leaves a hole.
      rows, columns: their names.
    """

    title: str
    values: list
    rows: list
    columns: list


@dataclasses.dataclass(frozen=True)
class ContourPanel:
    """A surface over a plane, as a map.

    Attributes:
      title: above it.
      x_title, y_title: of the axes of a surface.
      x, y: coordinates of the columns and rows of `values`.
      values: `[y][x]`; None leaves a hole.
      marks: `{label: (x, y)}`.
      path: `[(x, y)]` that is drawn over it; empty: none.
    """

    title: str
    x_title: str
    y_title: str
    x: list
    y: list
    values: list
    marks: dict = dataclasses.field(default_factory=dict)
    path: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class ColourScale:
    """What colours mean, in all panels of a chart alike.

    Attributes:
      title: of the values.
      low, high: ends; what lies beyond is drawn as the end.
      name: of the colours: "viridis" or "magma".
      is_logarithmic: whether colours and heights go by log10 of the values.
    """

    title: str
    low: float
    high: float
    name: str = "viridis"
    is_logarithmic: bool = False

    @property
    def drawn_title(self):
        return f"log10 {self.title}" if self.is_logarithmic else self.title

    @property
    def ends(self):
        """`(low, high)` of what is drawn, not the same even where all values are."""
        low, high = (float(end) for end in self.drawn([self.low, self.high]))
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def drawn(self, values):
        """What is drawn of values: an array, with NaN for None and what is not finite."""
        values = as_numbers(values)
        values = np.clip(np.where(np.isfinite(values), values, np.nan), self.low, self.high)
        return np.log10(values) if self.is_logarithmic else values


@dataclasses.dataclass(frozen=True)
class Chart:
    """Panels, and what stands below them.

    Attributes:
      name: of the picture's file, and in the section's id.
      title, words: of the section.
      panels: of one kind.
      table: `(columns, rows)`, or None.
      colours: the `ColourScale` of panels that have one.
      columns: most panels side by side.
      is_surface: whether a page shows contour panels as surfaces to be turned.
    """

    name: str
    title: str
    words: str
    panels: list
    table: tuple | None = None
    colours: ColourScale | None = None
    columns: int = 3
    is_surface: bool = False

    @property
    def grid(self):
        """`(rows, columns)` of the panels."""
        columns = min(self.columns, len(self.panels))
        return -(-len(self.panels) // columns), columns

    def places(self):
        """`(panel, row, column)` of each panel, from 1."""
        _, columns = self.grid
        return [(panel, i // columns + 1, i % columns + 1) for i, panel in enumerate(self.panels)]
