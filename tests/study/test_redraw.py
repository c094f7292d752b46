"""A study drawn again from its table alone."""

import csv
import dataclasses
import itertools
import json
import re

import pytest

from keras_kd import data
from keras_kd.study import config, origin, redraw, session
from keras_kd.study.findings import report, results, summary
from keras_kd.training import Settings
from tests.support.processes import ROOT
from tests.support.studies import found_of, records, run_result

RESULTS = ROOT / "experiments" / "results"
COMMITTED = sorted(RESULTS.rglob("*.csv"))
assert COMMITTED, RESULTS


def planned(runs, claims):
    """The `StudyConfig` of these runs."""
    return config.StudyConfig(
        "tried", "Is <this> so?", claims, "digits", Settings(epochs=2), (0, 1, 2), (*runs,)
    )


def write_rows(rows, path):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(itertools.chain(*rows))))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def told():
    """A study as it ended, with accuracies that are whole numbers of 360 images."""
    exact = {}
    for run, record in records().items():
        result = dataclasses.replace(record.result, accuracy=round(360 * record.result.accuracy) / 360)
        exact[run] = dataclasses.replace(record, result=result)
    return exact, found_of(exact)


def test_the_table_alone_gives_the_same_verdicts_and_numbers(told, tmp_path):
    kept, ended = told
    summary.write_csv(ended.summary.rows, tmp_path / "results.csv")
    again, strange = redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")
    assert strange == []
    assert again.description["dataset"]["examples"]["test"] == 360
    assert dataclasses.replace(again.summary, curves=ended.summary.curves) == ended.summary
    assert again.summary.curves == ()
    report.write(again, tmp_path / "report.html", planned=len(kept) + 4)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "4 runs are not there yet" in page
    assert "not in the table that this was drawn from" in page
    assert "(learning rate 0.02, batch 64)" in page


def test_a_batch_that_nobody_gave_is_not_told(told, tmp_path):
    """It was smaller where the dataset was small."""
    kept, ended = told
    summary.write_csv(ended.summary.rows, tmp_path / "results.csv")
    study = dataclasses.replace(planned(kept, ()), default_batch=True)
    again, _ = redraw.redraw(study, tmp_path / "results.csv", command="typed")
    assert "(learning rate 0.02), " in " ".join(report.limits(again))


def test_what_lies_beside_the_table_is_told_too(told, tmp_path):
    kept, ended = told
    summary.write_csv(ended.summary.rows, tmp_path / "results.csv")
    identity = {"dataset": ended.description["dataset"], "settings": ended.description["settings"]}
    (tmp_path / "study.json").write_text(json.dumps({"identity": identity, "runs": [], "grew": True}))
    for run, record in kept.items():
        (tmp_path / "runs" / run.key).mkdir(parents=True)
        text = json.dumps(record.result.to_json())
        (tmp_path / "runs" / run.key / "result.json").write_text(text)
    again, _ = redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")
    assert again.summary == ended.summary
    assert again.grew
    assert again.description["dataset"] == ended.description["dataset"]


def test_failed_runs_runs_of_others_and_no_table(told, tmp_path):
    kept, ended = told
    rows = [row.to_json() for row in ended.summary.rows]
    rows[0] |= {"status": "failed", "accuracy": None, "error": "why"}
    rows[1] |= {"run": "another-s0", "cell": "another", "seed": 0}
    write_rows(rows, tmp_path / "results.csv")
    again, strange = redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")
    assert strange == ["another-s0"]
    assert len(again.summary.rows) == len(kept) - 1
    assert {verdict.verdict for verdict in again.summary.verdicts} == {"undecided"}
    rows[2]["validation_accuracy"] = None
    summary.write_csv([results.RunRow.from_json(row) for row in rows], tmp_path / "results.csv")
    with pytest.raises(ValueError, match=f"csv: run {rows[2]['run']}, validation_accuracy is missing"):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")
    with pytest.raises(FileNotFoundError, match="there is no table"):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "none.csv", command="typed")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has no column accuracy, cell, run"):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "other.csv", command="typed")


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"variant": "plain"}, "variant must be 'residual', by the run's name. Received: 'plain'"),
        ({"depth": 32}, "depth must be 8, by the run's name. Received: '32'"),
        ({"teacher": "r20w8"}, "teacher must be blank, by the run's name. Received: 'r20w8'"),
        ({"initial_weights": "own"}, "initial_weights must be blank, by the run's name. Received: 'own'"),
    ],
)
def test_a_row_that_says_another_run_than_its_name_is_refused(told, tmp_path, axes, message):
    kept, ended = told
    rows = [row.to_json() for row in ended.summary.rows]
    assert rows[0]["run"] == "r8w4-s0"
    rows[0] |= axes
    write_rows(rows, tmp_path / "results.csv")
    with pytest.raises(ValueError, match=re.escape(f"results.csv: run r8w4-s0, {message}")):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")


def test_numbers_that_a_spreadsheet_wrote_are_the_same_numbers(told, tmp_path):
    kept, ended = told
    summary.write_csv(ended.summary.rows, tmp_path / "results.csv")
    text = (tmp_path / "results.csv").read_text()
    text = text.replace(",0.0,0.0001,auto,1.0,", ",0,1E-04,auto,1,")
    (tmp_path / "results.csv").write_text(text, encoding="utf-8-sig")
    again, _ = redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")
    assert again.summary.verdicts == ended.summary.verdicts


@pytest.mark.parametrize("path", COMMITTED, ids=[str(path.relative_to(RESULTS)) for path in COMMITTED])
def test_committed_tables_are_drawn_and_are_of_their_studies(path):
    study = session.read(path.stem, seeds=",".join(map(str, redraw.seeds_of(path))))
    result, strange = redraw.redraw(study, path, command="typed")
    assert strange == []
    with path.open(newline="") as file:
        assert len(result.summary.rows) == len(list(csv.DictReader(file)))
    assert result.description["dataset"]["examples"]["test"] in (360, 4000)
    for verdict in result.summary.verdicts:
        assert verdict.numbers


def test_the_verdict_is_that_of_the_studys_own_report(tmp_path):
    """As printed when it ended; ways of one seed, as others were then, are no rivals of those with three."""
    whole = ("none", "fade", "fade+merge+blockwise:fade_end=0.7:blockwise_weight=8.0:blockwise_end=1.0")
    path = tmp_path / "routes_cifar10.csv"
    header, *rows = (RESULTS / path.name).read_text().splitlines(keepends=True)
    names = header.strip().split(",")
    then = [
        row
        for row in rows
        if (of := dict(zip(names, row.split(","), strict=True)))["shortcut_removal"] in whole
        or of["seed"] == "0"
    ]
    path.write_text(header + "".join(then))
    study = session.read(path.stem, depths=[32, 56])
    (verdict,) = redraw.redraw(study, path, command="typed")[0].summary.verdicts
    assert (verdict.claim, verdict.verdict) == ("R1", "undecided")
    assert (verdict.p_for, verdict.p_against) == pytest.approx((0.7155571, 0.5688857), abs=1e-7)
    differences = [number.comparison.difference for number in verdict.numbers]
    assert [each.count for each in differences] == [3, 3, 3]
    assert [round(100 * each.mean, 4) for each in differences] == [-0.4417, -1.2917, -0.8667]


@pytest.mark.parametrize(
    ("table", "depths", "p_for", "p_against"),
    [
        ("routes_cifar10.csv", [], 0.94, 0.23),
        ("routes_cifar10.csv", [32], 0.16, 0.84),
        ("routes_digits.csv", [], 0.064, 1.0),
        ("routes_digits.csv", [20], 0.0002, 0.9998),
        ("routes_digits.csv", [32], 0.017, 0.983),
        ("routes_digits.csv", [44], 0.064, 0.936),
        ("routes_digits.csv", [56], 0.032, 0.968),
        ("again/routes_digits.csv", [32], 0.40, 0.60),
    ],
)
def test_the_pages_tell_the_verdicts_of_the_committed_tables(table, depths, p_for, p_against):
    """R1, as docs/what-we-know.md, docs/results-digits.md and docs/shortcut-removal.md print it."""
    path = RESULTS / table
    study = session.read(path.stem, depths=depths, seeds=",".join(map(str, redraw.seeds_of(path))))
    (verdict,) = redraw.redraw(study, path, command="typed")[0].summary.verdicts
    assert (verdict.p_for, verdict.p_against) == pytest.approx((p_for, p_against), abs=0.0051)


def shared(**changes):
    """The columns of data and recipe of the planned study."""
    settings = dataclasses.asdict(Settings(epochs=2))
    dataset = {"name": "digits", "fingerprint": "f" * 16}
    return origin.columns({"dataset": dataset, "settings": settings}) | changes


def test_a_table_tells_its_data_and_recipe(told, tmp_path):
    kept, ended = told
    summary.write_csv(ended.summary.rows, tmp_path / "results.csv", shared(recipe="epochs=2 batch_size=16"))
    study = dataclasses.replace(planned(kept, ()), default_batch=True)
    again, _ = redraw.redraw(study, tmp_path / "results.csv", command="typed")
    assert again.description["dataset"]["fingerprint"] == "f" * 16
    assert "(learning rate 0.02, batch 16)" in " ".join(report.limits(again))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"data": "photos.npz"}, "data was 'photos.npz' and is 'digits'"),
        ({"recipe": "epochs=15 batch_size=64"}, "epochs was 15 and is 2"),
        ({"recipe": "epochs=2 batch_size=64 deterministic=True"}, "deterministic was True and is False"),
        ({"recipe": "epochs=2 batch_size=32"}, "batch_size was 32 and is 64"),
        ({"recipe": "0123abcd"}, "recipe must be settings as in .* Received: '0123abcd'"),
    ],
)
def test_a_table_of_other_data_or_another_recipe_is_refused(told, tmp_path, columns, message):
    kept, ended = told
    summary.write_csv(ended.summary.rows, tmp_path / "results.csv", shared(**columns))
    with pytest.raises(ValueError, match=rf"results\.csv.*: {message}$"):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")


def test_runs_of_several_datasets_are_no_table(told, tmp_path):
    kept, ended = told
    rows = [row.to_json() | shared() for row in ended.summary.rows]
    rows[3]["fingerprint"] = "a" * 16
    write_rows(rows, tmp_path / "results.csv")
    with pytest.raises(ValueError, match=f"runs have the same fingerprint. .* for {rows[3]['run']}"):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")


def test_a_table_without_these_columns_is_that_of_the_folder_it_lies_in(told, tmp_path):
    kept, ended = told
    summary.write_csv(ended.summary.rows, tmp_path / "results.csv")
    other = {"dataset": ended.description["dataset"], "settings": {"epochs": 9, "batch_size": 64}}
    (tmp_path / "study.json").write_text(json.dumps({"identity": other, "runs": [], "grew": False}))
    with pytest.raises(ValueError, match=r"results\.csv .*: epochs was 9 and is 2"):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")


def test_digits_have_their_number_of_test_images(told, tmp_path):
    assert origin.TEST_IMAGES["digits"] == len(data.load("digits").test.labels)
    kept, ended = told
    rows = [
        dataclasses.replace(row, accuracy=round(4000 * row.accuracy) / 4000) for row in ended.summary.rows
    ]
    summary.write_csv(rows, tmp_path / "results.csv")
    with pytest.raises(
        ValueError, match=r"not of digits, which has 360 test images. .*whole numbers of 4000"
    ):
        redraw.redraw(planned(kept, ended.claims), tmp_path / "results.csv", command="typed")


@pytest.mark.parametrize(
    "changes",
    [{"dataset": "other.npz"}, {"recipe": {"epochs": 3}}, {"recipe": {"learning_rate": 0.5}}],
    ids=["dataset", "epochs", "learning_rate"],
)
def test_a_committed_table_is_not_drawn_as_that_of_other_data_or_another_recipe(changes):
    path = RESULTS / "born_again.csv"
    with pytest.raises(ValueError, match=r"born_again\.csv is not of the study"):
        redraw.redraw(session.read("born_again", **changes), path, command="typed")
    path = path.with_name("paper_cifar10.csv")
    with pytest.raises(ValueError, match="data was 'cifar10-12k.npz' and is 'digits'"):
        redraw.redraw(session.read("depth"), path, command="typed")


def test_accuracies_that_are_all_whole_say_nothing_of_the_number_of_images():
    run = next(iter(records()))
    perfect = {run: dataclasses.replace(records()[run], result=run_result(1.0))}
    assert redraw.images_tested(perfect) == 0
    assert redraw.images_tested({run: dataclasses.replace(records()[run], result=None, error="no luck")}) == 0
