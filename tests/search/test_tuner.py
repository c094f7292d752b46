"""The search without its script: spaces, oracles that resume, trials averaged, promoted, lost, failed."""

import itertools
import math
import socket
import threading
import time

import keras
import keras_tuner
import numpy as np
import pytest

from keras_kd.data import datasets
from keras_kd.search import hypermodel, oracles, workers
from keras_kd.search.results import TrialRecord
from keras_kd.search.space import SearchSpace
from keras_kd.search.tuner import Tuner, best_trial
from keras_kd.training import callbacks, config, evaluation
from keras_kd.utils import files
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp, same, weights_of

SPACE = SearchSpace((1.0, 16.0), (0.1, 0.9))


def oracle_of(tuner, path, trials=9, space=SPACE, objective="accuracy", epochs=3):
    return oracles.make_oracle(
        tuner, space, trials=trials, objective=objective, path=path / "search.json", seed=3, epochs=epochs
    )


# --------------------------------------------------------------------------- spaces


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"temperature": (4.0, 2.0)}, "bounds of temperature are reversed. Received: 4.0 to 2.0"),
        ({"alpha": (0.9, 0.1)}, "bounds of alpha are reversed"),
        ({"temperature": (0.0, 2.0)}, "temperature must lie in"),
        ({"alpha": (0.5, 1.5)}, "alpha"),
        ({"alpha": (-0.5, 0.5)}, "alpha"),
        ({"temperature": (1.0, math.inf)}, "bounds of temperature must be finite"),
        ({"learning_rate": (0.0, 0.1)}, "learning_rate must lie in"),
        ({"alpha_epochs": (0, 3)}, "at least one epoch"),
        ({"teachers": ("a", "a")}, "the teachers must differ"),
    ],
)
def test_bad_bounds_are_named(bounds, message):
    with pytest.raises(ValueError, match=message):
        SearchSpace(**bounds)


def test_temperature_is_sampled_on_a_log_scale_and_alpha_is_not(tmp_path):
    oracle = oracle_of("random", tmp_path, trials=200)
    values = [oracle.create_trial(f"{i}").hyperparameters.values for i in range(200)]
    temperatures, alphas = (np.array([each[name] for each in values]) for name in ("temperature", "alpha"))
    assert (temperatures.min() >= 1, temperatures.max() <= 16) == (True, True)
    assert (alphas.min() >= 0.1, alphas.max() <= 0.9) == (True, True)
    assert np.mean(temperatures < 4) == pytest.approx(0.5, abs=0.1)  # 4 is the geometric middle
    assert np.mean(alphas < 0.5) == pytest.approx(0.5, abs=0.1)


def test_a_grid_is_even_and_has_no_corner_of_its_own():
    points = SPACE.grid(9)
    assert sorted({point["temperature"] for point in points}) == pytest.approx([1, 4, 16])
    assert sorted({point["alpha"] for point in points}) == pytest.approx([0.1, 0.5, 0.9])
    assert len({tuple(point.values()) for point in points}) == 9
    assert [len(SPACE.grid(most)) for most in (1, 2, 7, 8, 12)] == [1, 2, 6, 8, 12]
    assert SPACE.grid(1) == [{"temperature": pytest.approx(4), "alpha": pytest.approx(0.5)}]
    whole = SearchSpace(alpha_epochs=(1, 2), teachers=("a", "b"), alpha=(1.0, 1.0))
    assert {(p["alpha_epochs"], p["teacher"]) for p in whole.grid(8)} == set(
        itertools.product((1, 2), ("a", "b"))
    )
    assert {point["alpha"] for point in whole.grid(8)} == {1.0}
    with pytest.raises(ValueError, match="a trial for each teacher, 2"):
        whole.grid(1)


# --------------------------------------------------------------------------- oracles


def score(values):
    """Best at T = 4, alpha = 0.5."""
    return 1 - abs(math.log(values["temperature"] / 4)) - abs(values["alpha"] - 0.5)


def finish(oracle, trial, value=None):
    value = score(trial.hyperparameters.values) if value is None else value
    oracle.update_trial(trial.trial_id, {oracle.objective.name: value})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def tried(tuner, path, resume, trials=9):
    """The settings that a search hands out; with `resume` a new process goes on after each step."""
    path.mkdir()

    def again(oracle):
        if not resume:
            return oracle
        new = oracle_of(tuner, path, trials)
        new.reload()
        return new

    oracle = oracle_of(tuner, path, trials)
    found = []
    while True:
        trial = oracle.create_trial("one")
        if trial.status != "RUNNING":
            return found
        if resume:  # killed while it ran
            oracle = again(oracle)
            repeated = oracle.create_trial("one")
            assert (repeated.trial_id, repeated.hyperparameters.values) == (
                trial.trial_id,
                trial.hyperparameters.values,
            )
            trial = repeated
        found.append(trial.hyperparameters.values)
        finish(oracle, trial)
        oracle = again(oracle)


@pytest.mark.parametrize("tuner", oracles.TUNERS)
def test_a_search_that_is_killed_after_each_step_tries_the_same(tuner, tmp_path):
    trials = {"hyperband": 0, "bayesian": 8}.get(tuner, 9)
    whole = tried(tuner, tmp_path / "whole", resume=False, trials=trials)
    assert len(whole) == {"hyperband": 6, "bayesian": 8}.get(tuner, 9)
    assert tried(tuner, tmp_path / "killed", resume=True, trials=trials) == whole


def test_seed_zero_is_a_seed(tmp_path):
    values = [
        oracles.make_oracle("random", SPACE, trials=1, objective="accuracy", path=tmp_path / name / "s.json")
        .create_trial("one")
        .hyperparameters.values
        for name in "ab"
    ]
    assert values[0] == values[1]


def test_hyperbands_plan_and_the_fewest_trials_that_it_needs():
    options = {"epochs": 9, "objective": "accuracy"}
    plan = oracles.plan("hyperband", SPACE, trials=0, **options)
    # Brackets of ceil(3 / (s + 1) * 3**(s - r)) trials with 9 / 3**(s - r) epochs, s = 2, 1, 0.
    assert plan == [1] * 9 + [3] * 3 + [9] + [3] * 5 + [9] * 2 + [9] * 3
    assert oracles.plan("hyperband", SPACE, trials=13, **options) == plan[:13]
    with pytest.raises(ValueError, match="trained to the end is number 13: .* Received: trials=12"):
        oracles.plan("hyperband", SPACE, trials=12, **options)
    with pytest.raises(ValueError, match="at least one trial is needed. Received: trials=0"):
        oracles.plan("random", SPACE, trials=0, **options)
    with pytest.raises(ValueError, match="factor must be at least 2"):
        oracles.plan("hyperband", SPACE, trials=0, factor=1, **options)
    assert oracles.plan("grid", SPACE, trials=7, **options) == [9] * 6


def test_a_lost_workers_trial_goes_to_another_and_nobody_leaves_before(tmp_path):
    oracle = oracle_of("random", tmp_path, trials=2)
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    finish(oracle, second)
    assert oracle.create_trial("b").status == "IDLE"  # a may still be lost
    assert oracle.lose("a") == first.trial_id
    taken = oracle.create_trial("b")
    assert (taken.trial_id, taken.status) == (first.trial_id, "RUNNING")
    assert taken.hyperparameters.values == first.hyperparameters.values
    finish(oracle, taken)
    assert oracle.create_trial("b").status == "STOPPED"
    assert oracle.exhausted
    assert not oracle.tuner_ids
    assert len(oracle.end_order) == 2


def test_a_trial_that_loses_every_worker_fails(tmp_path):
    oracle = oracle_of("random", tmp_path, trials=1)
    for number in range(oracles.LOST_RETRIES + 1):
        assert oracle.create_trial(f"{number}").status == "RUNNING"
        oracle.lose(f"{number}")
    assert oracle.create_trial("last").status == "STOPPED"
    (trial,) = oracle.trials.values()
    assert (trial.status, trial.message) == ("FAILED", "its workers were lost, 4 times")


def test_a_damaged_state_is_named(tmp_path):
    oracle = oracle_of("random", tmp_path)
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(ValueError, match="search.json is damaged .*--overwrite"):
        oracle.reload()


# --------------------------------------------------------------------------- trials


class Scripted(hypermodel.DistillationHyperModel):
    """Trains nothing: `scores(values, seed)` says what comes out."""

    def __init__(self, scores, space=SPACE, epochs=3):
        super().__init__(space, None, config.Settings(epochs=epochs), None, None)
        self._scores = scores

    def build(self, hp, seed=None):
        return None

    def fit(self, hp, model, *, seed, epochs, folder, callbacks):
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


def test_a_trial_whose_folder_another_process_has_begins_again_beside_it(tmp_path):
    tuner = Tuner(oracle_of("grid", tmp_path, trials=1), Scripted(lambda *_: 0.5), tmp_path, [0])
    values = SPACE.grid(1)[0]
    with tuner._place("0", values) as first, tuner._place("0", values) as second:
        assert (first.name, second.name) == ("0", "0-tuner0")
    with tuner._place("0", values):
        tuner.search()  # of the trial 0
    (record,) = tuner.records()
    assert (record.trial, record.folder) == ("0", "0-tuner0")
    assert tuner.folder_of("0") == tmp_path / "trials" / "0-tuner0"


# --------------------------------------------------------------------------- real trainings


@pytest.fixture
def dataset(tmp_path, rng):
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(rng, shape=(8, 8, 1)))
    return datasets.load(str(tmp_path / "tiny.npz"))


class Weights(keras.callbacks.Callback):
    """The weights at the beginning of each training's first step, and at the end of its last epoch."""

    def __init__(self):
        super().__init__()
        self._seen = []

    def on_train_begin(self, logs=None):
        self._seen.append({"first": None})

    def on_train_batch_begin(self, batch, logs=None):
        if self._seen[-1]["first"] is None:
            self._seen[-1]["first"] = weights_of(self.model.student)

    def on_epoch_end(self, epoch, logs=None):
        self._seen[-1]["last"] = weights_of(self.model.student)
        self._seen[-1]["rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def distillation(dataset, epochs, space=SPACE):
    teacher = mlp(16, seed=9)
    settings = config.Settings(epochs=epochs, batch_size=24, strategy="none", warmup_fraction=0.0)
    return hypermodel.DistillationHyperModel(
        space, dataset, settings, student=lambda seed: mlp(seed=seed), teacher=lambda path: teacher
    )


def test_a_promoted_trial_goes_on_from_the_weights_of_the_round_before(dataset, tmp_path):
    model, watcher = distillation(dataset, epochs=3), Weights()
    oracle = oracle_of("hyperband", tmp_path, trials=0)
    tuner = Tuner(oracle, model, tmp_path, [0], [watcher])
    tuner.search()
    trainings = dict(zip(oracle.start_order, watcher._seen, strict=True))
    promoted = [trial for trial in oracle.trials.values() if "tuner/trial_id" in trial.hyperparameters.values]
    assert len(promoted) == 1
    for trial in promoted:
        parent = trial.hyperparameters.values["tuner/trial_id"]
        assert same(trainings[trial.trial_id]["first"], trainings[parent]["last"])
        assert not same(trainings[trial.trial_id]["first"], weights_of(mlp(seed=0)))
        # The parent was trained under the schedule of all three epochs: a cosine, a third of the way down.
        wanted = 0.02 * (1 + math.cos(math.pi / 3)) / 2
        assert trainings[parent]["rate"] == pytest.approx(wanted, rel=1e-5)
        straight = model.build(trial.hyperparameters, 0)
        model.fit(trial.hyperparameters, straight, seed=0)
        for one, other in zip(trainings[trial.trial_id]["last"], weights_of(straight.student), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    loaded = tuner.load_model(promoted[0])
    assert same(weights_of(loaded.student), trainings[promoted[0].trial_id]["last"])


class EndsOnce(keras.callbacks.Callback):
    """Ends the process, as it were, before the second epoch of a promoted trial's round."""

    def __init__(self):
        super().__init__()
        self._ended = False

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2 and not self._ended:
            self._ended = True
            raise KeyboardInterrupt


@pytest.mark.slow
def test_hyperband_ended_in_a_promoted_trial_goes_on_to_the_same(dataset, tmp_path):
    found = {}
    for name, callback in (("whole", keras.callbacks.Callback()), ("ended", EndsOnce())):
        oracle = oracle_of("hyperband", tmp_path / name, trials=0)
        tuner = Tuner(oracle, distillation(dataset, epochs=3), tmp_path / name, [0], [callback])
        if name == "ended":
            with pytest.raises(KeyboardInterrupt):
                tuner.search()
            ended = [trial for trial in oracle.trials.values() if trial.status == "RUNNING"]
            assert "tuner/trial_id" in ended[0].hyperparameters.values
            oracle = oracle_of("hyperband", tmp_path / name, trials=0)
            oracle.reload()
            tuner = Tuner(oracle, distillation(dataset, epochs=3), tmp_path / name, [0], [callback])
        tuner.search()
        found[name] = tuner.records()
    assert len(found["ended"]) == len(found["whole"]) == 6
    for one, other in zip(found["whole"], found["ended"], strict=True):
        assert (one.trial, one.values, one.epochs, one.status) == (
            (other.trial, other.values, other.epochs, other.status)
        )
        assert one.measures["val_hard_loss"] == pytest.approx(other.measures["val_hard_loss"], rel=1e-5)


def test_what_a_trial_reports_is_what_its_student_measures(dataset, tmp_path):
    model = distillation(dataset, epochs=2)
    tuner = Tuner(oracle_of("random", tmp_path, trials=1), model, tmp_path, [0, 1])
    tuner.search()
    (record,) = tuner.records()
    for place, seed in enumerate((0, 1)):
        distiller = model.distiller(record.values, seed)
        folder = tuner.folder_of(record.trial) / f"seed-{seed}"
        model.train(record.values, distiller, seed, folder=folder)
        measured = evaluation.evaluate(distiller.student, dataset, "validation")
        assert record.measures["val_accuracy"][place] == pytest.approx(measured["accuracy"], abs=1e-6)
        assert record.measures["val_hard_loss"][place] == pytest.approx(measured["loss"], rel=1e-4)


def test_build_gives_the_distiller_of_the_setting(dataset):
    space = SearchSpace((2.0, 2.0), (0.7, 0.7), learning_rate=(0.01, 0.1), alpha_epochs=(1, 1))
    model = distillation(dataset, epochs=2, space=space)
    distiller = model.build(keras_tuner.HyperParameters())
    assert distiller.temperature == 2.0
    steps = 72 // 24
    assert [float(distiller.alpha(step)) for step in (0, steps - 1, steps)] == pytest.approx([0.7, 0.7, 0.0])
    assert same(weights_of(distiller.student), weights_of(mlp(seed=0)))


def test_plain_keras_tuner_takes_the_hypermodel(dataset, tmp_path):
    tuner = keras_tuner.RandomSearch(
        distillation(dataset, epochs=1),
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=1,
        directory=str(tmp_path),
    )
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.get_best_trials(1)
    assert 0 <= trial.score <= 1


# --------------------------------------------------------------------------- chief and workers


def variables(monkeypatch, **given):
    for name in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT"):
        monkeypatch.delenv(f"KERASTUNER_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)


def test_who_a_process_is(monkeypatch):
    variables(monkeypatch)
    assert workers.worker_config() is None
    variables(monkeypatch, TUNER_ID="chief", ORACLE_IP="10.0.0.1", ORACLE_PORT="8000")
    assert workers.worker_config() == workers.WorkerConfig("chief", ("10.0.0.1", 8000))
    assert workers.worker_config().is_chief
    variables(monkeypatch, TUNER_ID="a", ORACLE_IP="10.0.0.1", ORACLE_PORT="8000")
    assert not workers.worker_config().is_chief
    variables(monkeypatch, TUNER_ID="a")
    with pytest.raises(ValueError, match="Missing: KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT"):
        workers.worker_config()
    variables(monkeypatch, TUNER_ID="a", ORACLE_IP="x", ORACLE_PORT="99999")
    with pytest.raises(ValueError, match="must be a port from 1 to 65535. Received: '99999'"):
        workers.worker_config()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_chief_that_does_not_answer_is_one_line_within_seconds():
    own = workers.WorkerConfig("a", ("127.0.0.1", free_port()))
    began = time.monotonic()
    with pytest.raises(ValueError, match=f"no chief answers at 127.0.0.1:{own.address[1]} within 0.5 s"):
        workers.find_chief(own, patience=0.5)
    assert time.monotonic() - began < 3
    with pytest.raises(ValueError, match="there is no host 'nowhere.invalid'"):
        workers.find_chief(workers.WorkerConfig("a", ("nowhere.invalid", 1)), patience=5)


def test_two_chiefs_do_not_share_an_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = workers.WorkerConfig("chief", server.getsockname())
        with pytest.raises(
            ValueError, match=f"127.0.0.1:{own.address[1]} is in use, perhaps by another chief"
        ):
            workers.check_free(own)
    workers.check_free(own)


def test_a_worker_ends_when_its_chief_is_gone_and_says_meanwhile_that_it_lives(monkeypatch):
    monkeypatch.setattr(workers, "BEAT_SECONDS", 0.05)
    asked, ended = threading.Event(), threading.Event()

    class Worker:
        trial = "7"

        class oracle:  # noqa: N801
            @staticmethod
            def get_trial(trial):
                assert trial == "7"
                asked.set()

    server = socket.create_server(("127.0.0.1", 0))
    own = workers.WorkerConfig("a", server.getsockname())
    with workers.Heartbeat(own, Worker, silence=30, end=lambda message, status: ended.set()):
        assert asked.wait(5)
        assert not ended.is_set()
        server.close()
        assert ended.wait(5)
