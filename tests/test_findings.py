"""What a study found, as values, as a table, as pictures and as a page in a real browser."""

import csv
import itertools
import json
import re

import numpy as np
import pytest
from conftest import CHROMIUM, probed

from keras_kd import claims, comparisons, findings, plots, report
from keras_kd.study import Mentor, Record, Run

SEEDS = range(3)


def records(failed=()):
    """A small study with a drop at depth 32 alone; seed by seed."""
    rng = np.random.default_rng(0)
    found = {}
    for seed in SEEDS:
        for depth, drop in ((20, -0.02), (32, 0.1)):
            twin = Run(depth, "residual", width=8, seed=seed)
            small = Run(8, "residual", width=4, seed=seed)
            taught = [
                Run(depth, "plain + KD", width=8, seed=seed, mentor=mentor, mentor_epochs=stays)
                for mentor in (Mentor(twin), Mentor(small), Mentor(twin, "shuffled"))
                for stays in (0, 2)
            ]
            truth = {small: 0.8, twin: 0.95, taught[0].alone: 0.95 - drop}
            truth |= dict.fromkeys(taught, 0.94 - drop / 3)
            for run, accuracy in truth.items():
                accuracy += 0.005 * rng.normal()
                curve = [accuracy / 2, accuracy - 0.01 * rng.random()]
                result = {"accuracy": accuracy, "loss": 0.1, "parameters": 10, "seconds": 1.5}
                result |= {"validation_accuracy": curve[-1], "history": {"val_accuracy": curve}}
                record = Record(run, result)
                found.setdefault(run, Record(run, error="no <luck>") if run.key in failed else record)
    return found


FAILED = "p32w8-kd-r8w4-T4-a0.9-k2-s2"


def found_of(study_records, names=tuple(claims.CLAIMS)):
    found = findings.of(study_records, names, margin=0.01, test_examples=360)
    return found | {
        "study": "tried",
        "grew": False,
        "question": "Is <this> so?",
        "command": "python -m experiments.study --study=tried",
        "claims": names,
        "seeds": list(SEEDS),
        "margin": 0.01,
        "settings": {"epochs": 2, "learning_rate": 0.02, "batch_size": 64, "seed": 0},
        "dataset": {
            "name": "digits",
            "fingerprint": "0" * 16,
            "examples": {"train": 1293, "validation": 144, "test": 360},
            "image_shape": [8, 8, 1],
        },
        "versions": {"keras": "3.15.1"},
        "machine": {"system": "Linux", "cores": 2},
    }


@pytest.fixture(scope="module")
def found():
    return found_of(records({FAILED}))


def accuracies(cell):
    return [record.result["accuracy"] for run, record in records({FAILED}).items() if run.cell == cell]


def test_findings_are_json(found):
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))


def test_cells_are_means_over_seeds(found):
    (cell,) = (cell for cell in found["cells"] if cell["cell"] == "r32w8")
    values = accuracies("r32w8")
    assert cell["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert cell["accuracy"]["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert (cell["accuracy"]["count"], cell["depth"], cell["label"]) == (3, 32, "residual, w8")
    (short,) = (cell for cell in found["cells"] if cell["cell"] == FAILED[:-3])
    assert short["accuracy"]["count"] == 2


def test_gains_and_recovery_are_paired(found):
    cell = "p32w8-kd-r32w8-T4-a0.9"
    residual, plain, taught = map(np.array, map(accuracies, ("r32w8", "p32w8", cell)))
    (gain,) = (each["gain"] for each in found["gains"] if each["cell"] == cell)
    expected = comparisons.estimate(taught - plain)
    assert (gain["mean"], gain["low"]) == pytest.approx((expected.mean, expected.low))
    (back,) = (each for each in found["recoveries"] if each["cell"] == cell)
    assert back["ratio"] == pytest.approx((taught - plain).mean() / (residual - plain).mean())
    assert back["low"] < back["ratio"] < back["high"]
    (none,) = (each for each in found["recoveries"] if each["cell"] == "p20w8-kd-r20w8-T4-a0.9")
    assert (none["ratio"], none["low"]) == (None, None)


def test_points_are_gains_beside_advantages(found):
    (point,) = (each for each in found["points"] if each["run"] == "p20w8-kd-r8w4-T4-a0.9-s1")
    mentor, plain, taught = (accuracies(cell)[1] for cell in ("r8w4", "p20w8", "p20w8-kd-r8w4-T4-a0.9"))
    assert point["advantage"] == pytest.approx(mentor - plain)
    assert point["gain"] == pytest.approx(taught - plain)
    assert found["slope"]["within_trainees"]["count"] == 3


def test_the_table_has_a_row_a_run(found, tmp_path):
    findings.write_csv(found["rows"], tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert list(rows) == [run.key for run in records()]
    row = rows["p32w8-kd-r8w4-T4-a0.9-s1"]
    assert float(row["mentor_accuracy"]) == pytest.approx(accuracies("r8w4")[1])
    assert (row["status"], row["depth"], row["variant"], row["seed"]) == ("done", "32", "plain + KD", "1")
    assert (rows[FAILED]["status"], rows[FAILED]["accuracy"], rows[FAILED]["error"]) == (
        "failed",
        "",
        "no <luck>",
    )
    assert rows["r32w8-s0"]["temperature"] == ""


def test_pictures_are_drawn_or_left_out(found):
    for draw in plots.STUDY.values():
        assert plots.pixels(draw(found)).std() > 10
    one_depth = {run: record for run, record in records().items() if not run.is_taught and run.depth == 20}
    empty = found_of(one_depth)
    assert [draw(empty) for draw in plots.STUDY.values()] == [None] * len(plots.STUDY)


def test_a_study_in_which_all_failed_still_has_a_page(tmp_path):
    everything = records()
    lost = found_of({run: Record(run, error="lost") for run in everything})
    report.write(lost, tmp_path / "report.html")
    assert f"{len(everything)} runs failed" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.write(found, path)
    return path


def test_the_page_stands_alone_and_is_small(page):
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 8e6
    own = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.findall(r"(?:src|href)=[\"']?(?!#|data:)[^\"'\s>]+", own)
    assert "default-src 'none'" in own


def test_the_page_says_what_was_found(found, page):
    own = re.sub(r"<script.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.S)
    assert "Is &lt;this&gt; so?" in own
    assert "no &lt;luck&gt;" in own
    for verdict in found["verdicts"]:
        assert verdict["claim"] in own
    assert own.index("Verdicts") < own.index("Accuracy against depth") < own.index("Every cell")
    assert "python -m experiments.study --study=tried" in own
    assert "undefined" in own
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


_TOUCH = """
  const plot = document.getElementById("plot-accuracy");
  Plotly.Fx.hover(plot, [{curveNumber: plot.data.length - 1, pointNumber: 0}]);
  found.hover = [...plot.querySelectorAll(".hoverlayer text")].map(text => text.textContent).join("|");
  const shown = () => plot._fullData.filter(trace => trace.visible === true).length;
  const before = shown();
  const toggle = plot.querySelector(".legendtoggle");
  for (const kind of ["mousedown", "mouseup"]) toggle.dispatchEvent(new MouseEvent(kind, {bubbles: true}));
  await new Promise(done => setTimeout(done, 1500));
  found.hidden = before - shown();
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [1200, 500])
def test_the_page_works_in_a_browser(page, tmp_path, width):
    seen, console = probed(page.read_text(encoding="utf-8"), tmp_path, _TOUCH, width)
    assert seen["errors"] == []
    assert console == []
    assert len(seen["drawn"]) == 5
    assert min(seen["drawn"]) > 0
    assert "depth 20" in seen["hover"]
    assert seen["hidden"] == 2  # the line and its band
    assert seen["overflow"] <= 0


def test_a_study_that_grew_says_so(found, tmp_path):
    report.write({**found, "grew": True}, tmp_path / "grown.html")
    text = (tmp_path / "grown.html").read_text(encoding="utf-8")
    assert "Runs were added to this study after it had begun" in text


def test_words_of_a_verdict():
    verdict = {"verdict": "supported", "p_for": 0.01, "p_against": 1.0, "missing": None, "claim": "C4"}
    assert "Supported." in report.sentence(verdict)
    assert "neither" in report.sentence({**verdict, "verdict": "undecided", "missing": "<no> seeds"})
    assert "&lt;no&gt;" in report.sentence({**verdict, "verdict": "undecided", "missing": "<no> seeds"})
    assert report.amount(0.5, verdict) == "0.50"
    assert report.amount(0.005, {**verdict, "claim": "C1"}) == "+0.5"
    assert report.duration(59 * 60 + 1) == "1 h 0 min"
    assert report.duration(61) == "2 min"


def test_labels_tell_kinds_apart():
    labels = {findings.label(run) for run in records() if run.seed == 0}
    assert labels == {"residual, w8", "plain, w8", "residual, w4"} | {
        f"plain + KD, mentor {mentor}, T 4, alpha 0.9{stay}, w8"
        for mentor in ("its residual twin", "its residual twin (shuffled)", "r8w4")
        for stay in ("", " for 2 epochs")
    }
