"""Trials that are really trained."""

import math

import keras
import keras_tuner
import numpy as np
import pytest

from keras_kd.data import datasets
from keras_kd.distillation import recipes, shortcut_removal
from keras_kd.search import hypermodel
from keras_kd.search.space import SearchSpace
from keras_kd.search.tuner import Tuner
from keras_kd.training import config, evaluation, trainer
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp, one_block, same, weights_of
from tests.support.searches import SPACE, oracle_of


@pytest.fixture
def dataset(tmp_path, rng):
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(rng, shape=(8, 8, 1)))
    return datasets.load(str(tmp_path / "tiny.npz"))


class Weights(keras.callbacks.Callback):
    """The weights at the beginning of each training's first step, and at the end of its last epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append({"first": None})

    def on_train_batch_begin(self, batch, logs=None):
        if self.seen[-1]["first"] is None:
            self.seen[-1]["first"] = weights_of(self.model.student)

    def on_epoch_end(self, epoch, logs=None):
        self.seen[-1]["last"] = weights_of(self.model.student)
        self.seen[-1]["rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def distillation(dataset, epochs, space=SPACE, **options):
    teacher = mlp(16, seed=9)
    options = {"batch_size": 24, "strategy": "none", "warmup_fraction": 0.0} | options
    settings = config.Settings(epochs=epochs, **options)
    return hypermodel.DistillationHyperModel(
        space, dataset, settings, student=lambda seed: mlp(seed=seed), teacher=lambda path: teacher
    )


@pytest.mark.slow
def test_a_promoted_trial_goes_on_from_the_weights_of_the_round_before(dataset, tmp_path):
    model, watcher = distillation(dataset, epochs=3), Weights()
    oracle = oracle_of("hyperband", tmp_path, trials=0)
    tuner = Tuner(oracle, model, tmp_path, [0], [watcher])
    tuner.search()
    trainings = dict(zip(oracle.start_order, watcher.seen, strict=True))
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


OPTIONS = SearchSpace((2.0, 2.0), (0.5, 0.5), losses=("dkd:temperature=1..8",))


@pytest.mark.slow
def test_hyperband_promotes_a_loss_with_its_options(dataset, tmp_path):
    oracle = oracle_of("hyperband", tmp_path, trials=0, space=OPTIONS, epochs=3)
    tuner = Tuner(oracle, distillation(dataset, epochs=3, space=OPTIONS), tmp_path, [0])
    tuner.search()
    found = {record.trial: record for record in tuner.records()}
    assert len({record.values["loss"] for record in found.values()}) > 1
    (promoted,) = [record for record in found.values() if record.folder != record.trial]
    assert promoted.values == found[promoted.folder].values
    assert promoted.values["loss"] == f"dkd:temperature={promoted.values['dkd temperature']}"
    assert not any(trial.hyperparameters.space for trial in oracle.trials.values())  # as workers send them


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


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"early_stopping": 1}, {"early_stopping": 5, "ema": 0.5}])
def test_what_a_trial_reports_is_what_its_student_measures(dataset, tmp_path, options):
    model = distillation(dataset, epochs=6 if options else 2, **options)
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


@pytest.mark.parametrize(
    ("epochs", "options", "removal", "kept"),
    [
        (4, {}, None, 3),
        (4, {"early_stopping": 3}, None, 1),
        (4, {"early_stopping": 3}, "none", 1),
        (4, {"early_stopping": 3}, "fade", 3),  # is trained to the last epoch: an earlier one has shortcuts
        (1, {"early_stopping": 3}, None, 0),  # as in a first round of Hyperband, whose training went on
        (9, {"early_stopping": 2}, None, 1),  # ended early
    ],
)
def test_the_epoch_is_scored_whose_weights_are_kept(dataset, monkeypatch, epochs, options, removal, kept):
    history = [[0.5, 4.0], [0.7, 3.0], [0.7, 2.0], [0.6, 1.0]]

    def distill(*_, callbacks, **__):
        callbacks[0].history = history

    monkeypatch.setattr(trainer, "distill", distill)
    model = distillation(dataset, epochs=9, **options)
    values = {"temperature": 2.0, "alpha": 0.5} | ({"shortcut_removal": removal} if removal else {})
    measured = model.train(values, model.distiller(values, 0), 0, epochs=epochs)
    assert list(measured.values()) == history[kept]


@pytest.mark.slow
def test_the_student_is_what_the_chosen_way_leaves(dataset):
    """As `distill` gives it, whose ways have tests of their own."""
    space = SearchSpace((2.0, 2.0), (0.5, 0.5), shortcut_removals=("fade:fade_end=0.5", "none"))
    settings = config.Settings(epochs=1, batch_size=24, strategy="none")
    teacher = one_block(9, channels=1)

    def new_student(seed):
        return one_block(seed, shortcuts=False, channels=1)

    model = hypermodel.DistillationHyperModel(space, dataset, settings, new_student, lambda path: teacher)
    values = space.declare(keras_tuner.HyperParameters())
    assert values["shortcut_removal"] == "fade:fade_end=0.5"
    distiller = model.distiller(values, seed=0)
    assert not any(isinstance(layer, keras.layers.Add) for layer in distiller.student.layers)
    measured = model.train(values, distiller, seed=0)
    alone, way = new_student(0), shortcut_removal.make("fade", fade_end=0.5)
    options = {"temperature": 2.0, "alpha": 0.5, "shortcut_removal": way}
    trained = trainer.distill(teacher, alone, dataset, settings, **options)
    for found, wanted in zip(weights_of(distiller.student), weights_of(alone), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert measured["val_accuracy"] == pytest.approx(trained.history["val_accuracy_without_shortcuts"][-1])


def test_the_chosen_loss_teaches_the_student(dataset):
    space = SearchSpace((2.0, 2.0), (0.5, 0.5), losses=("pkt:weight=7", "kd"))
    model = distillation(dataset, epochs=2, space=space)
    values = space.declare(keras_tuner.HyperParameters())
    assert values["loss"] == "pkt:weight=7.0"
    distiller = model.distiller(values, seed=0)
    ((name, term),) = distiller.terms.items()
    assert (name, term.weight, distiller.alpha) == ("probability_transfer_loss", 7.0, 0.0)


def test_the_searched_options_reach_the_loss(dataset):
    text = "pkt:weight=2..50+dkd:temperature=1..8:nontarget_weight=2..16"
    space = SearchSpace((2.0, 2.0), (0.5, 0.5), losses=("kd", text), loss_weight_factor=(3.0, 3.0))
    hyperparameters = keras_tuner.HyperParameters()
    space.declare(hyperparameters)
    hyperparameters.values |= {
        **{"loss": text, "pkt weight": 7.0},
        **{"dkd temperature": 2.00049, "dkd nontarget_weight": 5.3},
    }
    distiller = distillation(dataset, epochs=2, space=space).build(hyperparameters)
    transfer, decoupled = distiller.terms.values()
    assert transfer.weight == 21.0
    assert (decoupled.loss.temperature, decoupled.loss.nontarget_weight) == (2.0, 5.3)
    again = recipes.parse_spec(space.declare(hyperparameters)["loss"]).arguments(1)["terms"]
    assert again[1][1].get_config() == decoupled.loss.get_config()
    hyperparameters.values["loss"] = "kd"
    assert not distillation(dataset, epochs=2, space=space).build(hyperparameters).terms


def test_the_chosen_student_is_taught(dataset):
    space = SearchSpace((2.0, 2.0), (0.5, 0.5), students=("narrow", "wide"))
    assert space.grid(2) == [
        {"temperature": 2.0, "alpha": 0.5, "student": name} for name in ("narrow", "wide")
    ]
    made = {}

    def new_student(seed, spec):
        made[seed, spec] = mlp(seed=seed)
        return made[seed, spec]

    model = hypermodel.DistillationHyperModel(
        space, dataset, distillation(dataset, epochs=2).settings, new_student, lambda path: mlp(seed=9)
    )
    distiller = model.distiller(space.grid(2)[1], seed=3)
    assert distiller.student is made[3, "wide"]


def test_the_searched_factor_weighs_all_losses_but_kd(dataset):
    space = SearchSpace(
        (2.0, 2.0), (0.5, 0.5), losses=("kd+pkt:weight=7", "kd"), loss_weight_factor=(3.0, 3.0)
    )
    assert space.names == ["temperature", "alpha", "loss_weight_factor", "loss"]
    values = space.declare(keras_tuner.HyperParameters())
    distiller = distillation(dataset, epochs=2, space=space).distiller(values, seed=0)
    assert [term.weight for term in distiller.terms.values()] == [21.0]
    assert distiller.alpha == 0.5


def test_build_gives_the_distiller_of_the_setting(dataset):
    space = SearchSpace((2.0, 2.0), (0.7, 0.7), learning_rate=(0.01, 0.1), alpha_epochs=(1, 1))
    model = distillation(dataset, epochs=2, space=space)
    distiller = model.build(keras_tuner.HyperParameters())
    assert distiller.temperature == 2.0
    steps = 72 // 24
    assert [float(distiller.alpha(step)) for step in (0, steps - 1, steps)] == pytest.approx([0.7, 0.7, 0.0])
    assert same(weights_of(distiller.student), weights_of(mlp(seed=0)))


@pytest.mark.parametrize("space", [SPACE, pytest.param(OPTIONS, marks=pytest.mark.slow)])
def test_plain_keras_tuner_takes_the_hypermodel(dataset, tmp_path, space):
    tuner = keras_tuner.RandomSearch(
        distillation(dataset, epochs=1, space=space),
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=1,
        directory=str(tmp_path),
    )
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.get_best_trials(1)
    assert 0 <= trial.score <= 1
