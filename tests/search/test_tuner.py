"""Trials averaged over seeds, failed, lost and taken up again, without training."""

import numpy as np
import pytest

from keras_kd.search import hypermodel
from keras_kd.search.results import TrialRecord
from keras_kd.search.tuner import Tuner, best_trial
from keras_kd.training import callbacks, config
from keras_kd.utils import files, progress, run_dir
from tests.support.searches import SPACE, oracle_of


class Scripted(hypermodel.DistillationHyperModel):
    """Trains nothing: `scores(values, seed)` says what comes out."""

    def __init__(self, scores, space=SPACE, epochs=3):
        super().__init__(space, None, config.Settings(epochs=epochs), None, None)
        self._scores = scores

    def build(self, hp, seed=None):
        return None

    def fit(self, hp, model, *, seed, epochs, folder, callbacks, on_epoch):
        value = self._scores(self.space.declare(hp), seed)
        return dict.fromkeys(hypermodel.MEASURES, value)


def searched(path, scores, tuner="grid", seeds=(0, 1), **options):
    """A `Tuner` that has run."""
    oracle = oracle_of(tuner, path, **options)
    if oracle.path.exists():
        oracle.reload()
        oracle.retry_failed()
    found = Tuner(oracle, Scripted(scores), path, seeds)
    found.search()
    return found


def test_the_mean_over_seeds_decides_and_one_lucky_seed_does_not_win(tmp_path):
    def scores(values, seed):
        steady = values["alpha"] > 0.4
        return (0.75, 0.75)[seed] if steady else (0.95, 0.4)[seed]

    tuner = searched(tmp_path, scores, trials=4)
    records = tuner.records()
    assert len(records) == 4
    for record in records:
        assert record.score == pytest.approx(np.mean(record.measures["val_accuracy"]))
        assert tuner.oracle.get_trial(record.trial).score == record.score
    best = best_trial(records, 3, "max")
    assert (best.values["alpha"], best.score) == (0.9, 0.75)
    assert max(value for record in records for value in record.measures["val_accuracy"]) == 0.95


def test_what_is_likely_wrong_with_a_trial_is_kept_though_it_is_not_said(tmp_path, capsys):
    def scores(values, seed):
        progress.note(f"at_loss was 0 with seed {seed}")
        return 0.5

    (record,) = searched(tmp_path, scores, trials=1).records()
    assert record.notes == ("at_loss was 0 with seed 0", "at_loss was 0 with seed 1")
    assert "at_loss" not in capsys.readouterr().out


def test_the_loss_is_the_labels_own_and_small_is_good(tmp_path):
    tuner = searched(tmp_path, lambda values, seed: values["alpha"], trials=4, objective="loss")
    assert (tuner.oracle.objective.name, tuner.oracle.objective.direction) == ("val_hard_loss", "min")
    assert best_trial(tuner.records(), 3, "min").values["alpha"] == 0.1


def test_the_best_was_trained_to_the_end_and_is_the_first_of_equals():
    def record(trial, score, epochs=3, status="COMPLETED"):
        return TrialRecord(trial, {}, status, epochs, score)

    records = [record("0", 0.99, 1), record("2", 0.8), record("1", 0.8), record("3", 0.9, status="FAILED")]
    assert best_trial(records, 3, "max").trial == "1"
    assert best_trial(records[:1], 3, "max") is None


@pytest.mark.slow
def test_a_failed_trial_has_its_reason_stops_no_other_and_is_tried_again_when_asked(tmp_path):
    fails = True

    def scores(values, seed):
        if fails and values["alpha"] == 0.9 and values["temperature"] == 1:
            raise ArithmeticError("the loss\nis nan")
        return 0.5

    records = searched(tmp_path, scores, trials=4).records()
    assert [record.status for record in records].count("COMPLETED") == 3
    (failed,) = [record for record in records if record.status == "FAILED"]
    assert failed.error == "ArithmeticError: the loss is nan"
    assert failed.score is None
    fails = False
    records = searched(tmp_path, scores, trials=4).records()
    assert [record.status for record in records] == ["COMPLETED"] * 4
    assert {record.error for record in records} == {None}


def test_all_trials_may_fail_without_a_lock_that_stays(tmp_path):
    def scores(values, seed):
        raise ValueError("no")

    records = searched(tmp_path, scores, tuner="random", trials=5).records()
    assert [record.status for record in records] == ["FAILED"] * 5


@pytest.mark.parametrize("error", [callbacks.TrainingInterruptedError("asked to"), OSError("disk full")])
def test_a_signal_or_a_full_disk_ends_the_search_and_the_trial_is_taken_up_again(error, tmp_path):
    seen = []

    def scores(values, seed):
        seen.append(values)
        if len(seen) == 2:
            raise error
        return 0.5

    with pytest.raises(type(error), match=str(error)):
        searched(tmp_path, scores, trials=3, seeds=(0,))
    assert len(searched(tmp_path, scores, trials=3, seeds=(0,)).records()) == 3
    assert len(seen) == 4
    assert seen[1] == seen[2]


def test_a_failure_without_a_reason_is_one_too(tmp_path):
    tuner = Tuner(oracle_of("random", tmp_path, trials=1), Scripted(None), tmp_path, [0])
    trial = tuner.oracle.create_trial("a")
    trial.status = "FAILED"
    tuner.oracle.end_trial(trial)
    (record,) = tuner.records()
    assert (record.status, record.error) == ("FAILED", "its worker left no reason")


def test_a_result_that_cannot_be_written_ends_the_search_and_its_trial_is_taken_up_again(
    tmp_path, monkeypatch
):
    def full(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_json", full)
        tuner = Tuner(oracle_of("grid", tmp_path, trials=2), Scripted(lambda *_: 0.5), tmp_path, [0])
        monkeypatch.setattr(tuner, "save", lambda: None)
        monkeypatch.setattr(tuner.oracle, "save", lambda: None)
        with pytest.raises(OSError, match="disk full"):
            tuner.search()
    assert [record.status for record in tuner.records()] == ["RUNNING"]


def test_the_score_is_the_oracles_where_the_workers_file_is_missing(tmp_path):
    tuner = searched(tmp_path, lambda *_: 0.5, trials=1)
    (tmp_path / "results" / f"{tuner.records()[0].trial}.json").unlink()
    best = best_trial(tuner.records(), 3, "max")
    assert (best.score, best.measures) == (0.5, {})
    assert tuner.folder_of(best.trial) == tmp_path / "trials" / best.trial


def test_a_workers_copy_of_a_trial_has_no_score_its_file_has(tmp_path):
    tuner = searched(tmp_path, lambda values, seed: 0.25 + seed / 2, trials=1, seeds=(0, 1))
    (trial,) = tuner.oracle.trials.values()
    trial.score = None  # the chief alone sets it
    assert tuner.record(trial).score == 0.5


def test_a_trial_whose_folder_another_process_has_begins_again_beside_it(tmp_path):
    tuner = Tuner(oracle_of("grid", tmp_path, trials=1), Scripted(lambda *_: 0.5), tmp_path, [0])
    values = SPACE.grid(1)[0]
    other = run_dir.RunDir(tuner.trial_folder("0"), {name: str(value) for name, value in values.items()})
    with other.claimed():  # as a worker that was given up, and lives
        tuner.search()  # of the trial 0
    (record,) = tuner.records()
    assert (record.trial, record.folder) == ("0", "0-tuner0")
    assert tuner.folder_of("0") == tmp_path / "trials" / "0-tuner0"


def test_a_trial_whose_folder_belongs_to_something_else_fails_and_nothing_is_trained_beside_it(tmp_path):
    tuner = Tuner(oracle_of("grid", tmp_path, trials=1), Scripted(lambda *_: 0.5), tmp_path, [0])
    with run_dir.RunDir(tuner.trial_folder("0"), {"depth": "20"}).claimed():
        pass
    tuner.search()
    (record,) = tuner.records()
    assert record.status == "FAILED"
    assert "was begun with other flags" in record.error
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["0"]
