"""Curves on a page and as a picture."""

import numpy as np
import pytest

from keras_kd.reporting import charts, figures

CURVES = [
    charts.Curve("a", 0, [1, 2, 3], [0.1, None, 10.0], ["one", "two", "three"]),
    charts.Curve("b", 1, [1, 3], [1.0, 2.0], ["one", "three"], dashed=True),
]


def chart(*panels):
    return charts.Chart("name", "Title", "Words.", list(panels), (["x"], [["1"]]))


def test_the_page_and_the_picture_have_the_same_curves():
    described = chart(charts.Panel("x", "y", CURVES), charts.Panel("u", "v", CURVES[:1]))
    touched, drawn = charts.to_plotly(described).data, charts.to_matplotlib(described)
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
    layout = charts.to_plotly(described).layout
    assert (layout.xaxis.type, layout.yaxis.type) == kinds
    axis = charts.to_matplotlib(described).axes[0]
    assert (axis.get_xscale(), axis.get_yscale()) == tuple(kind or "linear" for kind in kinds)


def test_a_section_says_what_it_is_of():
    found = charts.section(chart(charts.Panel("x", "y", CURVES)), "depth 20", "reuse")
    assert (found["id"], found["title"], found["words"]) == ("reuse-name", "Title: depth 20", "Words.")
    assert found["table"] == {"columns": ["x"], "rows": [["1"]]}
