"""Searches as they are typed, small enough for a test, and oracles."""

import json

import numpy as np

from keras_kd.search import oracles
from keras_kd.search.results import SearchResult, TrialRecord
from keras_kd.search.space import SearchSpace
from tests.support.arrays import tiny_arrays
from tests.support.commands import call

SIZES = [f"--{network}_{size}" for network in ("teacher", "student") for size in ("depth=8", "width=4")]
TRIALS = 2
SEARCH = (
    *("--dataset=tiny.npz", "--out=runs/mine", f"--trials={TRIALS}"),
    *("--epochs=2", "--batch_size=24", "--strategy=none", "--deterministic"),
    *SIZES,
)


def search_folder(tmp_path_factory, name):
    """A folder with the dataset `tiny.npz`."""
    cwd = tmp_path_factory.mktemp(name)
    np.savez(cwd / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    return cwd


def finished_search(tmp_path_factory):
    """A folder in which a search has run in this process; `(cwd, output, errors)`."""
    cwd = search_folder(tmp_path_factory, "finished")
    status, output, errors = call("search", *SEARCH, cwd=cwd)
    assert status == 0, errors[-3000:]
    return cwd, output, errors


def search_result(cwd, name="mine"):
    return json.loads((cwd / "runs" / name / "result.json").read_text())


SPACE = SearchSpace((1.0, 16.0), (0.1, 0.9))


def oracle_of(tuner, path, trials=9, space=SPACE, objective="accuracy", epochs=3):
    return oracles.make_oracle(
        tuner, space, trials=trials, objective=objective, path=path / "search.json", seed=3, epochs=epochs
    )


def trials(count, scores, rng):
    """Finished `TrialRecord`s of a search over temperature and alpha; `scores` takes their values."""
    found = []
    for number in range(count):
        values = {"temperature": float(np.exp(rng.uniform(0, 3))), "alpha": float(rng.uniform())}
        score = scores(values)
        measures = {"val_accuracy": [score, score], "val_hard_loss": [1.0, 1.0]}
        record = TrialRecord(str(number), values, "COMPLETED", 3, score, measures, 1.0)
        found.append(record)
    return found


def result_of(trials):
    """The `SearchResult` of such trials, before test was touched."""
    return SearchResult(
        command="typed",
        tuner="random",
        objective="val_accuracy",
        direction="max",
        space={"temperature": [1, 16], "alpha": [0, 1]},
        epochs=3,
        seeds=(0, 1),
        trials=tuple(trials),
        best=trials[0],
        description={"dataset": {"name": "digits"}, "versions": {"keras": "3"}},
    )
