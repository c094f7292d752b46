"""What a study found, as values, as a table, as pictures and as a page."""

import csv
import dataclasses
import functools
import itertools
import json
import re

import numpy as np
import pytest

from keras_kd.reporting import charts, figures
from keras_kd.study.design import Run, Teacher
from keras_kd.study.findings import charts as study_charts
from keras_kd.study.findings import naming, pairing, summary
from keras_kd.study.findings import report as study_report
from keras_kd.study.findings.results import StudyResult, VerdictSummary
from keras_kd.study.runner import RunRecord
from keras_kd.utils import statistics
from tests.support.studies import FAILED, found_of, records, run_result


@pytest.fixture(scope="module")
def result():
    return found_of(records({FAILED}))


@pytest.fixture(scope="module")
def found(result):
    return result.summary


def accuracies(condition):
    return [record.result.accuracy for run, record in records({FAILED}).items() if run.condition == condition]


def test_a_result_comes_back_from_json(result):
    assert StudyResult.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_files_have_the_names_of_earlier_versions(result):
    """Columns beside numbers, in this order, so that their readers go on reading."""
    values = result.to_json()
    assert list(values) == [
        *("grew", "study", "question", "claims", "command", "seeds", "margin", "settings", "dataset"),
        *("versions", "machine", "verdicts", "cells", "gains", "recoveries", "points", "slope", "curves"),
        "rows",
    ]
    columns = [
        *("variant", "teacher", "teacher_control", "depth", "width", "dropout", "weight_decay"),
        *("augmentation", "label_fraction", "distillation_loss", "temperature", "alpha", "alpha_epochs"),
        "shortcut_removal",
    ]
    assert list(values["cells"][0]) == [
        *("cell", *columns, "title", "label", "accuracy", "training_accuracy", "training_change", "agreement")
    ]
    assert list(values["gains"][0]) == ["cell", *columns, "title", "label", "gain"]
    assert list(values["recoveries"][0]) == [
        *("cell", *columns, "title", "label", "ratio", "low", "high", "drop", "gain")
    ]
    assert list(values["points"][0]) == ["run", *columns, "title", "label", "seed", "advantage", "gain"]
    assert list(values["curves"][0]) == ["cell", *columns, "title", "label", "seeds", "accuracy"]
    assert list(values["rows"][0]) == [
        *("run", "cell", *columns, "seed", "status", "accuracy", "loss", "agreement"),
        *("validation_accuracy", "parameters", "seconds", "teacher_accuracy", "error"),
        *("training_accuracy", "training_change"),
    ]
    assert list(values["verdicts"][0]) == [
        *("claim", "statement", "rule", "verdict", "p_for", "p_against", "numbers", "missing", "cases")
    ]
    assert list(values["verdicts"][0]["numbers"][0]["comparison"]) == [
        *("difference", "effect_size", "p_value", "smallest_p")
    ]


def test_results_of_earlier_versions_are_read(result):
    """They said more of the line, and did not yet say whether the study grew."""
    values = result.to_json()
    values["slope"]["all_points"] |= {"low": 0.0, "high": 0.5, "p_value": 0.05}
    del values["grew"]
    assert StudyResult.from_json(json.loads(json.dumps(values))) == result


def test_conditions_are_means_over_seeds(found):
    (one,) = (each for each in found.conditions if each.condition.name == "r32w8")
    values = accuracies("r32w8")
    assert one.accuracy.mean == pytest.approx(np.mean(values))
    assert one.accuracy.deviation == pytest.approx(np.std(values, ddof=1))
    assert (one.accuracy.count, one.condition.depth, one.condition.label) == (3, 32, "residual, width 8")
    (short,) = (each for each in found.conditions if each.condition.name == FAILED[:-3])
    assert short.accuracy.count == 2


def test_gains_and_recovery_are_paired(found):
    name = "p32w8-kd-r32w8-T4-a0.9"
    residual, plain, taught = map(np.array, map(accuracies, ("r32w8", "p32w8", name)))
    (gain,) = (each.gain for each in found.gains if each.condition.name == name)
    expected = statistics.estimate(taught - plain)
    assert (gain.mean, gain.low) == pytest.approx((expected.mean, expected.low))
    (back,) = (each.recovery for each in found.recoveries if each.condition.name == name)
    assert back.ratio == pytest.approx((taught - plain).mean() / (residual - plain).mean())
    assert back.low < back.ratio < back.high
    (none,) = (each.recovery for each in found.recoveries if each.condition.name == "p20w8-kd-r20w8-T4-a0.9")
    assert (none.ratio, none.low) == (None, None)


def test_points_are_gains_beside_advantages(found):
    (point,) = (each for each in found.points if each.run == "p20w8-kd-r8w4-T4-a0.9-s1")
    teacher, plain, taught = (accuracies(name)[1] for name in ("r8w4", "p20w8", "p20w8-kd-r8w4-T4-a0.9"))
    assert point.advantage == pytest.approx(teacher - plain)
    assert point.gain == pytest.approx(taught - plain)
    (verdict,) = (each for each in found.verdicts if each.claim == "C4")
    (slope,) = (number.comparison for number in verdict.numbers)
    assert slope.difference == found.slope.within_students
    assert (slope.difference.count, slope.p_value, slope.difference.deviation) == (3, None, None)


def test_the_table_has_a_row_a_run(found, tmp_path):
    summary.write_csv(found.rows, tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert list(rows) == [run.key for run in records()]
    row = rows["p32w8-kd-r8w4-T4-a0.9-s1"]
    assert float(row["teacher_accuracy"]) == pytest.approx(accuracies("r8w4")[1])
    assert (row["status"], row["depth"], row["variant"], row["seed"]) == ("done", "32", "plain + KD", "1")
    assert (rows[FAILED]["status"], rows[FAILED]["accuracy"], rows[FAILED]["error"]) == (
        "failed",
        "",
        "no <luck>",
    )
    assert rows["r32w8-s0"]["temperature"] == ""


def test_the_agreement_with_the_teacher_is_the_mean_over_seeds():
    plain = Run(20, "plain", width=8)
    taught = Run(20, "plain + KD", width=8, teacher=Teacher(Run(20, "residual", width=8)))
    kept = {}
    for seed, share in enumerate((0.7, 0.8)):
        for run, agreement in ((plain, None), (taught, share)):
            kept[dataclasses.replace(run, seed=seed)] = RunRecord(
                run, dataclasses.replace(run_result(0.8), agreement=agreement)
            )
    alone, with_teacher = found_of(kept, ("C1",)).summary.conditions
    assert alone.agreement is None
    assert with_teacher.agreement == pytest.approx(0.75)


def test_whether_training_had_flattened_is_told():
    """The last fifth of ten epochs is two of them: by hand."""
    run = Run(20, "residual", width=8)
    trained = {}
    for seed, last in enumerate((0.90, 0.94)):
        result = run_result(0.8)
        result.history["accuracy"] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 0.88, last]
        trained[dataclasses.replace(run, seed=seed)] = RunRecord(run, result)
    found = found_of(trained, ("C1",)).summary
    assert [row.training_accuracy for row in found.rows] == [0.90, 0.94]
    assert found.conditions[0].training_accuracy == pytest.approx(0.92)
    assert found.conditions[0].training_change == pytest.approx((0.05 + 0.09) / 2)
    assert run_result(0.8).training_change is None


def test_a_curve_is_the_mean_of_the_seeds_that_reached_each_epoch():
    """By hand: three seeds reach the second epoch, one the third."""
    run = Run(20, "residual", width=8)
    ends = {0: [0.1, 0.4], 1: [0.3, 0.6, 0.9], 2: [0.5, 0.8]}
    trained = {
        dataclasses.replace(run, seed=seed): RunRecord(run, run_result(0.8, curve=curve))
        for seed, curve in ends.items()
    }
    result = found_of(trained, ("C1",))
    (curve,) = result.summary.curves
    assert (curve.seeds, curve.accuracy) == (3, pytest.approx([0.3, 0.6, 0.9]))
    assert [chart.name for chart in study_charts.described(result.summary)] == ["accuracy", "curves"]


def test_which_epoch_counts_is_told_as_it_is(result):
    assert "No epoch is selected: the last one counts, and test is touched once a run." in (
        study_report.limits(result)
    )
    assert "2 epochs each" in study_report.scope(result)
    settings = result.description["settings"] | {"early_stopping": 1}
    stopped = dataclasses.replace(result, description=result.description | {"settings": settings})
    (told,) = (text for text in study_report.limits(stopped) if "epoch counts" in text)
    assert told.startswith("Of each run the epoch counts that is best on validation")
    assert "after 1 epoch without a better one" in told
    assert ", at most 2 epochs each" in study_report.scope(stopped)


def test_pictures_are_drawn_or_left_out(found):
    pictures = study_charts.pictures(found)
    names = ["accuracy_over_depth", "gains", "recovery_over_depth", "gain_over_advantage"]
    assert list(pictures) == names
    for figure in pictures.values():
        assert figures.pixels(figure).std() > 10
    one_depth = {run: record for run, record in records().items() if not run.is_taught and run.depth == 20}
    empty = found_of(one_depth).summary
    assert study_charts.pictures(empty) == {}
    assert [chart.name for chart in study_charts.described(empty)] == ["accuracy", "curves"]


def test_what_is_drawn_is_what_was_found(found):
    described = {chart.name: chart for chart in study_charts.described(found)}
    assert list(described) == ["accuracy", "gains", "recovery", "advantage", "curves"]
    (panel,) = described["accuracy"].panels
    (curve,) = (curve for curve in panel.curves if curve.label == "plain, width 8")
    estimate = statistics.estimate(100 * np.array(accuracies("p32w8")))
    assert (curve.places, curve.has_band) == (["depth 20", "depth 32"], False)
    assert curve.x == pytest.approx([20, 32], abs=6)
    assert (curve.y[1], curve.low[1], curve.high[1]) == pytest.approx(
        (estimate.mean, estimate.low, estimate.high)
    )
    (panel,) = described["recovery"].panels
    defined = [each.recovery for each in found.recoveries if each.recovery.ratio is not None]
    assert [curve.y for curve in panel.curves] == [[each.ratio] for each in defined]
    assert [curve.low for curve in panel.curves] == [[each.low] for each in defined]
    (panel,) = described["gains"].panels
    (curve,) = panel.curves
    assert panel.categories == [each.condition.title for each in found.gains]
    assert curve.y == pytest.approx([100 * each.gain.mean for each in found.gains])
    (panel,) = described["advantage"].panels
    *clouds, line = panel.curves
    assert sum(len(curve.x) for curve in clouds) == len(found.points)
    fit = np.polyfit(*np.transpose([(each.advantage, each.gain) for each in found.points]), 1)
    assert line.y == pytest.approx(100 * np.polyval(fit, np.array(line.x) / 100))


@pytest.mark.parametrize(("lines", "has_bands"), [(5, True), (6, False)])
def test_many_networks_over_depth_have_bars_side_by_side_where_bands_would_hide_each_other(lines, has_bands):
    over_depth = [Run(depth, "plain", width=width) for depth in (20, 32) for width in range(1, lines + 1)]
    runs = [*over_depth, *(Run(32, "residual", width=width) for width in (1, 2))]
    trained = {}
    for run in (dataclasses.replace(run, seed=seed) for run in runs for seed in (0, 1)):
        trained[run] = RunRecord(run, run_result(0.8 + 0.1 * run.seed))
    (panel,) = study_charts.accuracy(found_of(trained, ("C1",)).summary).panels
    several = [curve for curve in panel.curves if len(curve.x) > 1]
    alone = [curve for curve in panel.curves if len(curve.x) == 1]
    assert ([curve.has_band for curve in several], len(alone)) == ([has_bands] * lines, 2)
    bars = alone if has_bands else panel.curves
    places = [x for curve in bars for x in curve.x]
    assert len(set(places)) == len(places) == (2 if has_bands else 2 * lines + 2)
    assert all(curve.reaches() for curve in bars)
    assert {places for curve in panel.curves for places in curve.places} == {"depth 20", "depth 32"}


def test_curves_of_many_depths_are_drawn_each_in_its_own_kind():
    depths = [8, 14, 20, 26, 32, 44, 56, 110]
    runs = [Run(depth, variant, width=8) for depth in depths for variant in ("residual", "plain")]
    found = found_of(
        {run: RunRecord(run, run_result(0.8, curve=[0.5, 0.8])) for run in runs}, ("C1",)
    ).summary
    (panel,) = study_charts.training_curves(found).panels
    assert len({(curve.number, curve.line, curve.has_markers) for curve in panel.curves}) == len(runs)
    assert {curve.line for curve in panel.curves[:6]} == set(charts.LINES[:6])
    assert figures.pixels(charts.to_matplotlib(study_charts.training_curves(found))).std() > 10


def test_of_one_depth_there_is_an_interval_for_each_network(found):
    one_depth = found_of({run: record for run, record in records().items() if run.depth == 32}).summary
    described = {chart.name: chart for chart in study_charts.described(one_depth)}
    assert (described["accuracy"].title, described["recovery"].title) == ("Accuracy", "Recovery")
    (panel,) = described["accuracy"].panels
    (curve,) = panel.curves
    assert panel.categories == [each.condition.title for each in one_depth.conditions]
    estimate = statistics.estimate(100 * np.array(accuracies("p32w8")))
    place = panel.categories.index("plain-32, width 8")
    assert (curve.low[place], curve.y[place], curve.high[place]) == pytest.approx(
        (estimate.low, estimate.mean, estimate.high)
    )
    (panel,) = described["recovery"].panels
    assert panel.categories == [each.condition.title for each in one_depth.recoveries]
    assert panel.curves[0].y == [each.recovery.ratio for each in one_depth.recoveries]


def test_one_run_with_one_seed_is_told_in_the_singular_and_without_an_interval():
    twin = Run(20, "residual", width=8)
    runs = (twin, Run(20, "plain", width=8), Run(20, "plain + KD", width=8, teacher=Teacher(twin)))
    alone = found_of({twin: RunRecord(twin, run_result(0.8))}, ("C1",))
    assert " 1 of 1 run, " in study_report.scope(alone)
    assert study_report.scope(alone, planned=2).endswith(
        " 1 run is not there yet: a comparison without any speaks for no verdict."
    )
    found = found_of({run: RunRecord(run, run_result(0.8)) for run in runs}, ("C1",)).summary
    ((_, gain, interval, seeds),) = study_charts.gains(found).table[1]
    assert (gain, interval, seeds) == ("+0.0", "n/a", 1)


def test_a_study_in_which_all_failed_still_has_a_page(tmp_path):
    everything = records()
    lost = found_of({run: RunRecord(run, error="lost") for run in everything})
    study_report.write(lost, tmp_path / "report.html")
    assert f"{len(everything)} runs failed" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    study_report.write(result, path)
    return path


def test_the_page_stands_alone_and_is_small(page):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 1.5e6
    own = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.findall(r"(?:src|href)=[\"']?(?!#|data:)[^\"'\s>]+", own)
    assert "default-src 'none'" in own


def test_the_page_says_what_was_found(found, page):
    own = re.sub(r"<script.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.S)
    assert "Is &lt;this&gt; so?" in own
    assert "no &lt;luck&gt;" in own
    for verdict in found.verdicts:
        assert verdict.claim in own
    order = ('class="answer"', "Accuracy against depth", ">Verdicts", "What each teacher gave")
    places = [own.index(text) for text in (*order, "Every condition", "Runs that failed")]
    assert places == sorted(places)
    assert "taught by residual-8 of width 4 (T 4, alpha 0.9, for 2 epochs), seed 2: " in own
    assert "python -m experiments.study --study=tried" in own
    assert "not defined" in own
    levels = [int(level) for level in re.findall(r"<h(\d)", own)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    tables = own.count("<table")
    assert own.count("<thead") == tables
    assert own.count('scope="col"') >= 2 * tables
    assert len(re.findall(r'role="group" aria-label="[^"]{20,}"', own)) == 5
    assert '<html lang="en">' in own
    assert 'name="viewport"' in own


def test_a_study_that_grew_says_so(result, tmp_path):
    study_report.write(dataclasses.replace(result, grew=True), tmp_path / "grown.html")
    text = (tmp_path / "grown.html").read_text(encoding="utf-8")
    assert "Runs were added to this study after it had begun" in text


def test_words_of_a_verdict():
    verdict = VerdictSummary("C4", "It is so.", "The rule.", "supported", p_for=0.01, p_against=1.0)
    assert "Supported." in study_report.sentence(verdict)
    undecided = dataclasses.replace(verdict, verdict="undecided", missing="<no> seeds")
    assert "neither" in study_report.sentence(undecided)
    assert "&lt;no&gt;" in study_report.sentence(undecided)
    assert study_report.amount(0.5, verdict) == "0.50"
    assert study_report.amount(0.005, dataclasses.replace(verdict, claim="C1")) == "+0.5"
    assert study_report.duration(59 * 60 + 1) == "1 h 0 min"
    assert study_report.duration(61) == "2 min"


def test_labels_tell_kinds_apart():
    labels = {naming.label(run) for run in records() if run.seed == 0}
    teachers = ("its residual twin", "shuffled logits of its residual twin", "residual-8 of width 4")
    assert labels == {"residual, width 8", "plain, width 8", "residual, width 4"} | {
        f"plain, width 8, taught by {teacher} (T 4, alpha 0.9{stay})"
        for teacher in teachers
        for stay in ("", ", for 2 epochs")
    }


def test_gain_and_recovery_of_another_loss_are_told_too():
    accuracies = {}
    for seed, more in enumerate((0.0, 0.01, 0.02)):
        twin = Run(20, seed=seed)
        taught = functools.partial(Run, 20, "plain + KD", teacher=Teacher(twin), seed=seed)
        accuracies |= {
            twin: 0.9 + more,
            Run(20, "plain", seed=seed): 0.5,
            taught(): 0.6,
            taught(loss="at"): 0.7,
        }
    paired = pairing.PairedResults(accuracies)
    gains = {each.condition.name: each.gain.mean for each in summary.gains(paired)}
    assert gains == pytest.approx({"p20w16-kd-r20w16-T4-a0.9": 0.1, "p20w16-kd-r20w16-at": 0.2})
    recovered = {each.condition.name: each.recovery.ratio for each in summary.recoveries(paired)}
    assert recovered["p20w16-kd-r20w16-at"] == pytest.approx(0.2 / 0.41)


def test_one_teacher_at_several_temperatures_is_one():
    runs = {}
    for seed, temperature in itertools.product(range(3), (1, 2, 4)):
        twin, plain = Run(20, "residual", 8, seed=seed), Run(20, "plain", 8, seed=seed)
        taught = Run(20, "plain + KD", 8, teacher=Teacher(twin), temperature=temperature, seed=seed)
        runs |= {twin: 0.9 + seed / 100, plain: 0.8, taught: 0.8 + temperature / 100}
    assert summary.slope(pairing.PairedResults(runs)) is None


def test_the_most_accurate_network_may_have_no_depth():
    kept = {
        Run(depth, "residual", 8, seed=seed): 0.9 + seed / 100 for depth in (14, 20) for seed in range(2)
    } | {Run(variant="network", student="wide_resnet:10:1", seed=seed): 0.95 for seed in range(2)}
    found = found_of({run: RunRecord(run, run_result(accuracy)) for run, accuracy in kept.items()})
    words = study_charts.accuracy(found.summary).words
    assert "The most accurate condition is wide_resnet:10:1, 95.0 %." in words
    assert words.endswith("1 network without a depth is not drawn.")
