"""What the page about feature reuse shows, and its files."""

import numpy as np
import pytest

from keras_kd.analysis.reuse import report as reuse_report
from keras_kd.reporting import charts, figures
from tests.support.analyses import BLOCKS, reuse_group, reuse_network

TWINS = reuse_group(reuse_network("plain", blocks=(BLOCKS[0], BLOCKS[2])), reuse_network("residual"))


def test_each_picture_of_curves_has_the_numbers_of_the_page():
    pictures = reuse_report.pictures(TWINS)
    described = reuse_report.charts_of(TWINS)
    names = ["cka", "lesions", "many", "branches", "probes", "ranks", "spectra"]
    assert list(pictures) == [chart.name for chart in described] == names
    for chart in described[2:]:
        touched = [trace for figure in charts.to_plotly(chart) for trace in figure.data]
        drawn = [line for axis in pictures[chart.name].axes for line in axis.lines]
        assert len(touched) == len(drawn) == sum(len(panel.curves) for panel in chart.panels)
        for trace, line in zip(touched, drawn, strict=True):
            assert trace.name == line.get_label()
            np.testing.assert_array_equal(line.get_xdata(), trace.x)
            np.testing.assert_array_equal(line.get_ydata(), np.array(trace.y, float))
            assert trace.line.color == line.get_color()
        assert figures.pixels(pictures[chart.name]).std() > 5


def chart_of(name):
    (chart,) = (chart for chart in reuse_report.charts_of(TWINS) if chart.name == name)
    return chart


def test_bars_of_silenced_blocks_are_those_of_the_table():
    chart = chart_of("lesions")
    (panel,) = chart.panels
    assert panel.categories == [row[0] for row in chart.table[1]] == [BLOCKS[0], BLOCKS[2]]
    for place, bars in enumerate(panel.bars, 1):
        assert [f"{height:.1f}" for height in bars.heights] == [row[place] for row in chart.table[1]]


def test_several_lesions_begin_with_none_and_swaps_are_dashed():
    (panel,) = chart_of("many").panels
    silenced, swapped = panel.curves[:2]
    assert (silenced.label, silenced.x, silenced.line) == ("plain, silenced", [0, 1, 2], "solid")
    np.testing.assert_allclose(silenced.y, [90, 50, 20])
    assert (swapped.label, swapped.x, swapped.line) == ("plain, swapped", [0, 1], "dot")
    np.testing.assert_allclose(swapped.y, [90, 60])


def test_blocks_that_one_network_lacks_leave_their_place_free():
    ratios, cosines = chart_of("branches").panels
    assert [curve.x for curve in ratios.curves] == [[1, 3], [1, 2, 3]]
    assert ratios.curves[0].places == [BLOCKS[0], BLOCKS[2]]
    np.testing.assert_allclose(cosines.curves[1].y, [0, -0.1, -0.2])


def test_what_a_network_without_blocks_lacks_is_said():
    mixed = reuse_group(reuse_network("mlp", blocks=(), layers=("dense", "head")), reuse_network("residual"))
    (remark,) = reuse_report.remarks(mixed)
    assert remark.startswith(
        "mlp has no blocks, as none of its layers is named like stage1_block1_conv1: all"
    )
    sections = {section["id"]: section for section in reuse_report.sections(mixed, "reuse")}
    assert remark in sections["reuse-cka"]["words"]
    assert sections["reuse-ranks"]["table"]["rows"][0] == ["stem", "1.5", "1.5"]
    assert sections["reuse-ranks"]["table"]["rows"][3] == ["stage2_block2", "n/a", "4.5"]
    assert {"reuse-lesions", "reuse-branches"} < sections.keys()
    assert reuse_report.remarks(TWINS) == []


@pytest.mark.parametrize("which", ["all", "names"])
def test_without_any_blocks_there_are_layers_alone(which):
    alone = reuse_group(reuse_network("mlp", blocks=(), layers=("dense", "head"), compared=which))
    assert ("in their place" in reuse_report.remarks(alone)[0]) == (which == "all")
    assert list(reuse_report.pictures(alone)) == ["cka", "probes", "ranks", "spectra"]
    ids = [section["id"] for section in reuse_report.sections(alone, "reuse")]
    assert ids == ["reuse-cka", "reuse-probes", "reuse-ranks", "reuse-spectra"]
