import concurrent.futures
import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

from keras_kd.study import origin, redraw, session, table
from tests.support.arrays import tiny_arrays
from tests.support.studies import STUDY_FILE, STUDY_RUNS, run_result


def ended(result):
    future = concurrent.futures.Future()
    future.set_result(result)
    return future


class Interrupted:
    """Does so many runs, in no time, and then is stopped."""

    slots = 1

    def __init__(self, runs):
        self._left = runs

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, execute, train, run, folder):
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        return ended(run_result((12 + self._left) / 24))  # of the test images of tiny.npz


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    (tmp_path / "mine.yaml").write_text(STUDY_FILE)
    return tmp_path


def test_the_table_grows_with_each_run(folder):
    own = session.StudySession(session.read("mine.yaml"), folder / "study")
    with pytest.raises(KeyboardInterrupt):
        own.run(Interrupted(runs=2), command="")
    with (folder / "study" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx([13 / 24, 12 / 24])
    assert not (folder / "study" / "result.json").exists()


class Noted(Interrupted):
    """Does all runs; each notes something."""

    def submit(self, *given):
        result = super().submit(*given).result()
        return ended(dataclasses.replace(result, notes=("at_loss was 0 in <epoch> 1",)))


def test_what_runs_noted_is_kept_and_stands_on_the_page(folder):
    own = session.StudySession(session.read("mine.yaml"), folder / "study")
    result, _ = own.run(Noted(STUDY_RUNS), command="")
    ((name, sentence),) = result.notes
    assert name == "residual-8, width 4, seed 0"
    assert sentence == f"at_loss was 0 in <epoch> 1; likewise {STUDY_RUNS - 1} more"
    assert session.read_result(folder / "study") == result
    assert "at_loss was 0 in &lt;epoch&gt; 1" in (folder / "study" / session.PAGE).read_text(encoding="utf-8")


def test_a_study_repeats_a_folder_or_a_table_and_is_refused_before_it_trains(folder):
    study, other = session.read("mine.yaml"), session.read("mine.yaml", seeds="5,6")
    session.StudySession(study, folder / "first").run(Interrupted(STUDY_RUNS), command="")
    shutil.copy(folder / "first" / "results.csv", folder / "first.csv")
    table, _ = redraw.redraw(study, folder / "first.csv", command="")
    for first in (session.read_result(folder / "first"), table):
        own = session.StudySession(other, folder / "again", first=first)
        with pytest.raises(ValueError, match=r"same margin: it was 0\.01 and is 0\.02"):
            session.StudySession(dataclasses.replace(other, margin=0.02), folder / "no", first=first)
    assert not (folder / "no").exists()
    result, _ = own.run(Interrupted(STUDY_RUNS), command="")
    assert [each.claim for each in result.replications] == ["C1", "C3"]
    assert session.read_result(folder / "again") == result


def test_the_table_says_its_data_and_recipe_from_the_first_run_on(folder):
    own = session.StudySession(session.read("mine.yaml"), folder / "study")
    with pytest.raises(KeyboardInterrupt):
        own.run(Interrupted(runs=2), command="")
    early = table.read_rows(folder / "study" / "results.csv")
    result, _ = own.run(Interrupted(STUDY_RUNS), command="")
    whole = table.read_rows(folder / "study" / "results.csv")
    recipe = "epochs=3 batch_size=24 strategy=none deterministic=True"
    expected = ("tiny.npz", result.description["dataset"]["fingerprint"], recipe)
    assert {tuple(row[name] for name in origin.COLUMNS) for row in early + whole} == {expected}
    assert result.description["dataset"]["absolute_name"] == str(folder / "tiny.npz")
    identity = json.loads((folder / "study" / "study.json").read_text())["identity"]
    assert "absolute_name" not in identity["dataset"]  # it may be repeated, and gone on with, elsewhere


def test_a_table_of_other_images_of_that_name_is_not_repeated(folder):
    study, other = session.read("mine.yaml"), session.read("mine.yaml", seeds="5,6")
    session.StudySession(study, folder / "first").run(Interrupted(STUDY_RUNS), command="")
    text = (folder / "first" / "results.csv").read_text()
    (row, *_) = table.read_rows(folder / "first" / "results.csv")
    (folder / "first.csv").write_text(text.replace(row["fingerprint"], "f" * 16))
    first, _ = redraw.redraw(study, folder / "first.csv", command="")
    with pytest.raises(ValueError, match="on the same data with the same recipe: fingerprint was"):
        session.StudySession(other, folder / "again", first=first)
