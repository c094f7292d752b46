import concurrent.futures
import csv
import dataclasses
import shutil

import numpy as np
import pytest

from keras_kd.study import redraw, session
from tests.support.arrays import tiny_arrays
from tests.support.studies import STUDY_FILE, STUDY_RUNS, run_result


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
        future = concurrent.futures.Future()
        future.set_result(run_result((12 + self._left) / 24))  # of the test images of tiny.npz
        return future


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
