"""Charts on a page and as a picture: both show the same numbers."""

import dataclasses

import numpy as np
import pytest

from keras_kd.reporting import charts, figures

CURVES = [
    charts.Curve("a", 0, [1, 2, 3], [0.1, None, 10.0], ["one", "two", "three"]),
    charts.Curve("b", 1, [1, 3], [1.0, 2.0], ["one", "three"], "dot"),
]


def chart(*panels):
    return charts.Chart("name", "Title", "Words.", list(panels), (["x"], [["1"]]))


def traces_of(described):
    """What is drawn on all panels of a page."""
    return [trace for figure in charts.to_plotly(described) for trace in figure.data]


def test_the_page_and_the_picture_have_the_same_curves():
    described = chart(charts.Panel("x", "y", CURVES), charts.Panel("u", "v", CURVES[:1]))
    touched, drawn = traces_of(described), charts.to_matplotlib(described)
    lines = [line for axis in drawn.axes for line in axis.lines]
    assert [trace.name for trace in touched] == [line.get_label() for line in lines] == ["a", "b", "a"]
    for trace, line in zip(touched, lines, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), trace.x)
        np.testing.assert_array_equal(line.get_ydata(), np.array(trace.y, float))
        assert trace.line.color == line.get_color()
    assert [trace.line.dash for trace in touched] == ["solid", "dot", "solid"]
    assert figures.pixels(drawn).std() > 5


@pytest.mark.parametrize(
    ("logarithmic", "kinds"), [("", (None, None)), ("y", (None, "log")), ("xy", ("log", "log"))]
)
def test_axes_are_logarithmic_where_asked(logarithmic, kinds):
    described = chart(charts.Panel("x", "y", CURVES, logarithmic))
    (layout,) = (figure.layout for figure in charts.to_plotly(described))
    assert (layout.xaxis.type, layout.yaxis.type) == kinds
    axis = charts.to_matplotlib(described).axes[0]
    assert (axis.get_xscale(), axis.get_yscale()) == tuple(kind or "linear" for kind in kinds)


def test_a_section_says_what_it_is_of():
    found = charts.section(chart(charts.Panel("x", "y", CURVES)), "depth 20", "reuse")
    assert (found["id"], found["title"], found["words"]) == ("reuse-name", "Title: depth 20", "Words.")
    assert found["table"] == {"columns": ["x"], "rows": [["1"]]}


def lists(values):
    """NumPy's and Plotly's numbers as lists, with None for NaN."""
    return [None if value is None or value != value else float(value) for value in values]


@pytest.mark.parametrize("is_horizontal", [False, True])
def test_error_bars_reach_to_the_same_ends(is_horizontal):
    """By hand: 2 lies in [1.5, 4]; the ends about 3 are not known."""
    curve = charts.Curve(None, 0, [0, 1], [2.0, 3.0], ["p", "q"], "none", low=[1.5, None], high=[4.0, None])
    panel = charts.Panel("x", "y", [curve], categories=["c", "d"], is_horizontal=is_horizontal)
    (trace,) = traces_of(chart(panel))
    error = trace.error_x if is_horizontal else trace.error_y
    assert (list(error.array), list(error.arrayminus)) == ([2.0, 0.0], [0.5, 0.0])
    assert list(trace.y if is_horizontal else trace.x) == ["c", "d"]
    assert list(trace.customdata) == ["p: 2 (1.5 to 4)", "q: 3"]
    assert (trace.showlegend, trace.mode) == (False, "markers")
    figure = charts.to_matplotlib(chart(panel))
    (axis,) = figure.axes
    ends = axis.collections[0].get_segments()[0]
    assert sorted(ends[:, 0 if is_horizontal else 1]) == [1.5, 4.0]
    own = axis.yaxis if is_horizontal else axis.xaxis
    assert [label.get_text() for label in own.get_ticklabels()] == ["c", "d"]
    assert not figure.legends


@pytest.mark.parametrize("known", [True, False])
def test_a_band_is_drawn_where_all_ends_are_known(known):
    low, high = [0.5, 1.0 if known else None], [1.5, 3.0]
    curve = charts.Curve("a", 1, [1, 2], [1.0, 2.0], ["p", "q"], low=low, high=high, is_band=True)
    described = chart(charts.Panel("x", "y", [curve]))
    traces = traces_of(described)
    assert [trace.fill for trace in traces] == (["toself", None] if known else [None])
    if known:
        assert list(traces[0].y) == [1.5, 3.0, 1.0, 0.5]
        assert traces[0].legendgroup == traces[1].legendgroup == "a"  # they are hidden together
    assert len(charts.to_matplotlib(described).axes[0].collections) == known


@pytest.mark.parametrize("count", [2, 5, 16])
def test_error_bars_of_one_place_do_not_hide_each_other(count):
    bars = [charts.Curve(f"{i}", i, [20, 32], [1.0, 2.0], low=[0.5, 1], high=[2, 3]) for i in range(count)]
    line = charts.Curve("line", 0, [20, 32, 50], [1.0, 2.0, 3.0])
    moved = charts.side_by_side([line, *bars])
    assert moved[0] is line
    x = np.array([curve.x for curve in moved[1:]])
    np.testing.assert_allclose(x.mean(0), [20, 32])
    np.testing.assert_allclose(x[:, 1] - x[:, 0], 12)
    assert (np.diff(x[:, 0]) > 0).all()
    assert x[-1, 0] < x[0, 1] - 3  # what belongs to which place is seen
    assert [curve.y for curve in moved[1:]] == [curve.y for curve in bars]


def test_an_error_bar_alone_and_those_of_one_place_stay_where_they_are():
    bar = charts.Curve("a", 0, [20, 32], [1.0, 2.0], low=[0.5, 1], high=[2, 3])
    assert charts.side_by_side([bar]) == [bar]
    one_place = [charts.Curve("a", 0, [20], [1.0], low=[0.5], high=[2])] * 2
    assert charts.side_by_side(one_place) == one_place


def test_bars_stand_side_by_side_and_may_lack():
    bars = [charts.Bars("a", 0, [1.0, None]), charts.Bars("b", 1, [2.0, 3.0])]
    described = chart(charts.Panel("x", "y", bars=bars, categories=["c", "d"]))
    traces, drawn = traces_of(described), charts.to_matplotlib(described)
    assert [list(trace.x) for trace in traces] == [["c", "d"]] * 2
    heights = [[patch.get_height() for patch in group] for group in drawn.axes[0].containers]
    assert [lists(trace.y) for trace in traces] == [lists(each) for each in heights] == [[1, None], [2, 3]]
    places = [patch.get_x() for group in drawn.axes[0].containers for patch in group]
    assert len(set(places)) == 4
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_a_matrix_has_its_first_row_on_top_and_holes():
    panels = [
        charts.HeatmapPanel(str(i), [[0.0, 0.5], [None, 2.0]], ["r", "s"], ["c", "d"]) for i in range(4)
    ]
    described = charts.Chart("n", "T", "W.", panels, colours=charts.ColourScale("CKA", 0.0, 1.0, "magma"))
    assert described.grid == (2, 3)
    for figure in charts.to_plotly(described):
        (trace,) = figure.data
        assert [lists(row) for row in trace.z] == [[0.0, 0.5], [None, 1.0]]
        assert (list(trace.y), list(trace.x)) == (["r", "s"], ["c", "d"])
        assert not trace.showscale
        assert figure.layout.yaxis.autorange == "reversed"
    scale = charts.section(described)["scale"]
    assert (scale["title"], scale["low"], scale["high"]) == ("CKA", "0", "1")
    drawn = charts.to_matplotlib(described)
    images = [image for axis in drawn.axes for image in axis.images]
    assert len(images) == 4
    assert images[0].get_clim() == (0.0, 1.0)
    assert [lists(row) for row in images[0].get_array().filled(np.nan)] == [[0.0, 0.5], [None, 1.0]]


def test_a_surface_is_turned_on_a_page_and_a_map_in_the_file():
    values = [[1e-6, 1.0, 100.0], [None, 10.0, 100.0]]
    panel = charts.ContourPanel("p", "b", "a", [0, 1, 2], [5, 6], values, {"m": (1, 5)}, [(0, 5), (2, 6)])
    colours = charts.ColourScale("loss", 1e-4, 100.0, is_logarithmic=True)
    surface = charts.Chart("n", "T", "W.", [panel], colours=colours, is_surface=True)
    heights = [[-4.0, 0.0, 2.0], [None, 1.0, 2.0]]
    (trace,) = traces_of(surface)
    assert [lists(row) for row in trace.z] == heights
    assert trace.customdata[0][0] == 1e-6  # the number itself, not where it is drawn
    scale = charts.section(surface)["scale"]
    assert (scale["title"], scale["low"], scale["high"]) == ("loss (logarithmic)", "0.0001", "100")
    contours, edge, path, marks = traces_of(dataclasses.replace(surface, is_surface=False))
    assert [lists(row) for row in contours.z] == heights
    assert (list(path.x), list(path.y)) == ([0, 2], [5, 6]) == (list(edge.x), list(edge.y))
    assert (list(marks.x), list(marks.y), list(marks.text)) == ([1], [5], ["m"])
    axis = charts.to_matplotlib(surface).axes[0]
    assert [list(line.get_xdata()) for line in axis.lines] == [[0, 2], [1]]
    assert axis.texts[0].get_text() == "m"


@pytest.mark.parametrize(("low", "high"), [(3.0, 3.0), (0.0, 0.0)])
def test_colours_of_equal_values_have_a_range(low, high):
    assert charts.ColourScale("v", low, high).ends == (low - 0.5, high + 0.5)


def test_lines_across_are_named_where_they_have_a_name():
    panel = charts.Panel("x", "y", CURVES[:1], levels=[(1, "all of it"), (0, None)])
    (layout,) = (figure.layout for figure in charts.to_plotly(chart(panel)))
    assert [shape.y0 for shape in layout.shapes] == [1, 0]
    assert [note.text for note in layout.annotations] == ["all of it"]
    lines = charts.to_matplotlib(chart(panel)).axes[0].lines
    assert [line.get_ydata()[0] for line in lines[1:]] == [1, 0]


def test_a_chart_without_panels_is_words_and_a_table():
    found = charts.section(chart())
    assert (found["id"], found["title"], found["plots"]) == ("name", "Title", [])
    assert found["table"]["rows"] == [["1"]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"line": "wavy"}, "line must be one of solid, .* Received: 'wavy'"),
        ({"y": [1.0]}, r"a curve's lists must have one length. Received: \[1, 3\]"),
        ({"low": [1.0]}, r"one length. Received: \[1, 3\]"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CURVES[0], **fields)


def test_many_networks_are_told_apart():
    curves = [charts.Curve("a", number, [1], [1.0]) for number in range(60)]
    traces = traces_of(chart(charts.Panel("x", "y", curves)))
    assert len({(trace.marker.color, trace.marker.symbol) for trace in traces}) == 60
    lines = charts.to_matplotlib(chart(charts.Panel("x", "y", curves))).axes[0].lines
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 60


def test_no_interval_and_no_axis_leaves_what_an_accuracy_can_be():
    curve = charts.Curve("a", 0, [1, 2], [1.0, 99.0], low=[-3.0, 97.0], high=[5.0, 101.0], is_band=True)
    panel = charts.Panel("depth", "accuracy, %", [curve])
    (figure,) = charts.to_plotly(chart(panel))
    assert list(figure.data[0].y) == [5.0, 100.0, 97.0, 0.0]
    assert (figure.layout.yaxis.minallowed, figure.layout.yaxis.maxallowed) == (0, 100)
    (axis,) = charts.to_matplotlib(chart(panel)).axes
    assert axis.get_ylim() == (0.0, 100.0)


@pytest.mark.parametrize(("most", "step"), [(3, 1), (12, 1), (13, 2), (60, 5), (100, 10)])
def test_epochs_are_whole_and_few(most, step):
    curve = charts.Curve("a", 0, [1, most], [1.0, 2.0])
    (figure,) = charts.to_plotly(chart(charts.Panel("epoch", "y", [curve])))
    assert figure.layout.xaxis.dtick == step


def test_one_legend_names_what_any_panel_shows_as_it_is_drawn():
    later = charts.Curve("c", 2, [1], [1.0], line="none")
    found = charts.section(chart(charts.Panel("x", "y", CURVES), charts.Panel("x", "y", [CURVES[0], later])))
    assert [(each["label"], each["glyph"], each["line"]) for each in found["legend"]] == [
        ("a", "●", "none"),
        ("b", "■", "2 3"),
        ("c", "◆", None),
    ]
    assert [each["colour"] for each in found["legend"]] == list(figures.COLOURS[:3])
