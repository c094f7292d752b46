"""What was found inside the networks of a study: numbers over seeds, and pages."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from keras_kd import analysis
from keras_kd.analysis.results import GroupResult
from keras_kd.data import augmentation, datasets
from keras_kd.reporting import figures, html
from keras_kd.study.findings import analyses
from keras_kd.study.findings.analyses import REPORTS, summarize, tables
from keras_kd.study.findings.networks import LABELS
from keras_kd.utils import files, statistics
from tests.support.arrays import tiny_arrays
from tests.support.networks import trio

pytestmark = pytest.mark.slow  # whole runs

REUSE_PICTURES = {"cka", "lesions", "many", "branches", "probes", "ranks", "spectra"}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    """`{analysis: [group]}`, two seeds of one depth; untrained networks, the first with a trajectory."""
    folder = tmp_path_factory.mktemp("analyses")
    np.savez(folder / "tiny.npz", **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    dataset = datasets.load(str(folder / "tiny.npz"))
    images = np.asarray(augmentation.normalise(dataset.train.images[:24], dataset.mean, dataset.std))
    labels = dataset.train.labels[:24]
    networks = trio()
    config = analysis.landscape.LandscapeConfig(steps=3, hessian_steps=0, eigenvalues=2, trace_samples=2)
    landscape = with_trajectory_and_hole(analysis.landscape.analyze(networks, images, labels, config, folder))
    config = analysis.reuse.ReuseConfig(draws=2, most=2, probe_examples=24, batch_size=12)
    reuse = analysis.reuse.analyze(networks, dataset, images, labels, config)
    return {
        name: [
            GroupResult(f"depth 8, seed {seed}", result, seed, "depth 8, width 4")
            for seed, result in enumerate((first, with_more(first, REPORTS[name].measures)))
        ]
        for name, first in (("landscape", landscape), ("reuse", reuse))
    }


def with_trajectory_and_hole(result):
    first, *others = result.planes
    trajectory = dataclasses.replace(
        first,
        kind="trajectory",
        trajectory=[[0, 0.5], [0.2, 0.1], [0, 0]],
        explained=[0.8, 0.1],
    )
    loss = [list(row) for row in first.loss]
    loss[0][0] = None
    roughness = dataclasses.replace(first.roughness, holes=1)
    first = dataclasses.replace(first, loss=loss, roughness=roughness)
    return dataclasses.replace(result, planes=[first, *others, trajectory])


def with_more(result, measures):
    """All numbers of the networks one larger."""
    networks = [
        dataclasses.replace(
            network,
            **{name: getattr(network, name) + 1.0 for name in measures if getattr(network, name) is not None},
        )
        for network in result.networks
    ]
    return dataclasses.replace(result, networks=networks)


def changed(group, **fields):
    """The group with other fields in its result."""
    return dataclasses.replace(group, result=dataclasses.replace(group.result, **fields))


@pytest.mark.parametrize("name", REPORTS)
def test_means_and_differences_are_paired_over_seeds(groups, name):
    titles = REPORTS[name].measures
    summary = summarize(groups[name], titles)
    cells = {(cell.label, cell.measure): cell for cell in summary.means}
    for measure in ("loss", "trace") if name == "landscape" else ("accuracy", "branch_ratio"):
        values = [[getattr(each, measure) for each in group.result.networks] for group in groups[name]]
        for place, label in enumerate(LABELS):
            wanted = statistics.estimate([row[place] for row in values])
            assert cells[label, measure].mean == pytest.approx(wanted.mean)
            assert (cells[label, measure].low, cells[label, measure].high) == pytest.approx(
                (wanted.low, wanted.high)
            )
        (minus,) = [
            each
            for each in summary.differences
            if each.label == "plain + KD minus residual" and each.measure == measure
        ]
        assert minus.mean == pytest.approx(values[0][2] - values[0][0])
        assert minus.high - minus.low == pytest.approx(0.0, abs=1e-6)


def test_what_a_seed_lacks_has_no_mean(groups):
    one, other = groups["landscape"]
    first, second, third = other.result.networks
    other = changed(other, networks=[first, dataclasses.replace(second, trace=None), third])
    summary = summarize([one, other], ["trace"])
    cells = {cell.label: cell for cell in summary.means}
    assert cells["residual"].mean is not None
    assert (cells["plain"].mean, cells["plain"].missing, cells["plain"].count) == (None, 1, 1)
    text = json.dumps(tables(summary, {"trace": "trace"}))
    assert "n/a in 1 of 2 seeds" in text
    assert {each.label for each in summary.differences if each.missing} == {"plain + KD minus plain"}


def test_kinds_are_told_apart(groups):
    one, other = groups["landscape"]
    other = dataclasses.replace(other, kind="depth 8, width 8")
    summary = summarize([one, other], ["loss"])
    assert [(cell.kind, cell.count) for cell in summary.means] == [
        *[("depth 8, width 4", 1)] * 3,
        *[("depth 8, width 8", 1)] * 3,
    ]


def test_students_that_lost_their_shortcuts_are_compared_with_their_twins(groups):
    one, other = groups["landscape"]
    faded = [
        dataclasses.replace(one.result.networks[place], label=f"{label}, fade", loss=loss)
        for place, label, loss in ((1, "plain", 0.5), (2, "plain + KD", 0.25))
    ]
    one = changed(one, networks=[*one.result.networks, *faded])
    summary = summarize([one, other], ["loss"])
    assert {cell.label: cell.missing for cell in summary.means if cell.missing} == {
        "plain, fade": 1,
        "plain + KD, fade": 1,
    }
    alone = summarize([one], ["loss"])
    minus = {each.label: each.mean for each in alone.differences}
    residual, plain, taught = (network.loss for network in one.result.networks[:3])
    assert minus == pytest.approx(
        {
            "plain + KD minus residual": taught - residual,
            "plain + KD minus plain": taught - plain,
            "plain, fade minus residual": 0.5 - residual,
            "plain, fade minus plain": 0.5 - plain,
            "plain + KD, fade minus residual": 0.25 - residual,
            "plain + KD, fade minus plain + KD": 0.25 - taught,
        }
    )


def test_what_no_seed_has_is_left_out(groups):
    summary = summarize(groups["landscape"], REPORTS["landscape"].measures)
    assert not [cell for cell in summary.means if cell.measure == "hessian_ratio"]
    text = json.dumps(tables(summary, REPORTS["landscape"].measures))
    assert "depth 8, width 4: loss, nats" in text


@pytest.mark.parametrize("name", REPORTS)
def test_a_group_comes_back_from_json(groups, name):
    for group in groups[name]:
        text = json.dumps(group.to_json(), allow_nan=False)
        assert GroupResult.from_json(json.loads(text), REPORTS[name].result_type) == group


def test_a_study_page_shows_what_older_folders_hold(groups, tmp_path):
    assert analyses.sections_of_study(tmp_path) == []
    for name, report in REPORTS.items():
        summary = summarize(groups[name], report.compared)
        assert analyses.SeedSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
        stored = {"groups": [each.to_json() for each in groups[name]], "summary": summary.to_json()}
        if name == "reuse":  # they did not say so yet
            for network in (network for group in stored["groups"] for network in group["networks"]):
                del network["has_blocks"], network["compared"]
        else:
            for group in stored["groups"]:
                del group["left_out"]
        files.write_json(stored, tmp_path / name / "result.json")
    shown = analyses.sections_of_study(tmp_path)
    told = {section["id"]: section["words"] for section in shown if section["id"].endswith("-answer")}
    assert set(told) == {"landscape-answer", "reuse-answer"}
    assert all(
        "plain + KD" in words and "over 2 seeds, corrected for the" in words for words in told.values()
    )
    wanted = [
        section
        for name, report in REPORTS.items()
        for section in analyses.sections(groups[name], summarize(groups[name], report.compared), report)
    ]
    assert [section for section in shown if section["id"] not in told] == wanted


def test_intervals_of_differences_are_corrected_for_their_number(groups):
    titles = REPORTS["reuse"].measures
    summary = summarize(groups["reuse"], titles)
    count = analyses.intervals_in(summary)
    assert count == 2 * len({each.measure for each in summary.differences})
    own = statistics.estimate([0.5 - 0.1 / np.sqrt(2), 0.5 + 0.1 / np.sqrt(2)])
    varied = dataclasses.replace(summary.differences[0], **dataclasses.asdict(own))
    summary = dataclasses.replace(summary, differences=[varied, *summary.differences[1:]])
    means, (_, title, words, _, rows) = tables(summary, titles)
    low, high = stats.t.interval(1 - 0.025 / count, 1, 0.5, 0.1 / np.sqrt(2))
    assert rows[0][1] == f"0.5 ({low:.3g} to {high:.3g})"
    assert f"corrected for {count} intervals" in title
    assert f"for the {count} intervals of this table" in words
    assert "(sd 0.707)" in means[-1][0][1]


@pytest.mark.parametrize("name", REPORTS)
def test_equal_shares_are_not_certain(groups, name):
    """Two seeds with the same accuracy on 24 images: as if it varied by one of them."""
    report = REPORTS[name]
    alike = [dataclasses.replace(groups[name][0], seed=seed) for seed in range(2)]
    summary = summarize(alike, report.compared, report.percent)
    (minus,) = [
        each
        for each in analyses.SeedSummary.from_json(json.loads(json.dumps(summary.to_json()))).differences
        if (each.label, each.measure) == ("plain + KD minus plain", "accuracy")
    ]
    low, high = stats.t.interval(0.95, 1, minus.mean, 1 / 24 / np.sqrt(2))
    assert (minus.low, minus.high) == pytest.approx((low, high))
    *_, (_, _, _, columns, rows) = tables(summary, report.measures, report.percent)
    (row,) = [row for row in rows if row[0].endswith(report.measures["accuracy"])]
    half = 100 * stats.t.ppf(1 - 0.0125 / analyses.intervals_in(summary), 1) / 24 / np.sqrt(2)
    assert row[columns.index(minus.label)].endswith(f"to {100 * minus.mean + half:,.0f})")


@pytest.mark.parametrize("name", REPORTS)
def test_pictures_are_drawn(groups, name, tmp_path):
    pictures = REPORTS[name].pictures(groups[name][0])
    wanted = {
        "landscape": {"around", "through", "way", "lines", "spectra", "steps"},
        "reuse": REUSE_PICTURES,
    }
    assert set(pictures) == wanted[name]
    for figure in pictures.values():
        assert figures.pixels(figure).std() > 5


def filled(grid, value):
    return [[value for _ in row] for row in grid]


def test_a_flat_surface_and_one_of_holes_are_drawn(groups):
    for loss, error in ((1e-6, 1e-7), (None, None)):
        group, _ = groups["landscape"]
        planes = [
            dataclasses.replace(
                plane, loss=filled(plane.loss, loss), standard_error=filled(plane.loss, error)
            )
            for plane in group.result.planes
        ]
        group = changed(group, planes=planes)
        assert REPORTS["landscape"].pictures(group)
        text = json.dumps(REPORTS["landscape"].sections(group, "x"))
        assert "nan%" not in text
        assert ("10% of its loss" in text) == (loss is not None)


def test_networks_without_curvature_and_what_is_left_out_are_shown(groups):
    group, _ = groups["landscape"]
    networks = [dataclasses.replace(each, spectrum=None, step=None) for each in group.result.networks]
    group = changed(group, networks=networks, left_out=["the curvature at a: it is <frozen>"])
    sections = REPORTS["landscape"].sections(group, "x")
    assert [section["table"]["rows"] for section in sections if section["id"] == "x-left-out"] == [
        [["the curvature at a: it is <frozen>"]]
    ]
    assert "spectra" not in REPORTS["landscape"].pictures(group)


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_of_a_study_has_tables_pictures_and_holes(groups, name, tmp_path):
    report = REPORTS[name]
    summary = summarize(groups[name], report.measures)
    sections = [*analyses.sections(groups[name], summary, report), *report.page_sections(groups[name][0])]
    path = tmp_path / "view.html"
    html.write(
        "view.html", path, title="T <b>", lead="L", sections=sections, command="c", facts={"data": "d"}
    )
    text = path.read_text(encoding="utf-8")
    assert "T &lt;b&gt;" in text
    assert path.stat().st_size < 1_500_000
    assert all(f'id="{plot["id"]}"' in text for section in sections for plot in section["plots"])
    if name == "landscape":
        assert "Left as holes, as their loss is not finite: 1." in text
