import concurrent.futures
import csv

import numpy as np
import pytest

from keras_kd.study import session
from tests.support.arrays import tiny_arrays
from tests.support.studies import STUDY_FILE, run_result


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
        future.set_result(run_result(0.5 + self._left / 10))
        return future


def test_the_table_grows_with_each_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    (tmp_path / "mine.yaml").write_text(STUDY_FILE)
    own = session.StudySession(session.read("mine.yaml"), tmp_path / "study")
    with pytest.raises(KeyboardInterrupt):
        own.run(Interrupted(runs=2), command="")
    with (tmp_path / "study" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx([0.6, 0.5])
    assert not (tmp_path / "study" / "result.json").exists()
