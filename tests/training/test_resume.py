"""A training that is stopped anywhere and started again ends as if it had not been stopped."""

import dataclasses
import functools
import os
import signal

import keras
import pytest
import tensorflow as tf

from keras_kd import losses
from keras_kd.data import datasets
from keras_kd.distillation import alarms
from keras_kd.training import callbacks, config, trainer
from keras_kd.training.distributed import strategy
from tests.support.networks import one_block, same, weights_of

SETTINGS = config.Settings(
    epochs=5, batch_size=24, learning_rate=0.1, strategy="none", warmup_fraction=0.1, deterministic=True
)


@pytest.fixture(autouse=True, scope="module")
def determinism():
    tf.config.experimental.enable_op_determinism()


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


TERMS = [losses.ClassCentres(), losses.KnowledgeReview()]

network = functools.partial(one_block, dropout=0.3)


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


class KillAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.moment = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self._epoch, batch) == self.moment:
            raise Killed


def trained(dataset, folder, moments, settings=SETTINGS, make_callbacks=tuple, teacher=None):
    """Trains with a kill at each of the moments; returns the network and the `Trained`."""
    for moment in [*moments, None]:
        with strategy.scope(settings):
            model = network(shortcuts=teacher is None)
        others = [*make_callbacks(), KillAt(*(moment or (-1, -1)))]
        arguments = {"folder": folder, "label": "net", "callbacks": others}
        try:
            if teacher is None:
                done = trainer.train(model, dataset, settings, **arguments)
            else:
                arguments |= {"alpha": keras.optimizers.schedules.CosineDecay(0.9, 20), "terms": TERMS}
                done = trainer.distill(teacher, model, dataset, settings, **arguments)
        except Killed:
            assert moment is not None
    return model, done


pytestmark = pytest.mark.last  # operations stay deterministic, and XLA is off

MOMENTS = [(0, 1), (3, 2)]


def assert_no_difference(dataset, tmp_path, **kwargs):
    undisturbed, expected = trained(dataset, tmp_path / "undisturbed", [], **kwargs)
    disturbed, found = trained(dataset, tmp_path / "killed", MOMENTS, **kwargs)
    assert same(weights_of(disturbed), weights_of(undisturbed))
    assert found.history == expected.history
    assert found.notes == expected.notes
    return undisturbed, expected


def test_a_killed_training_ends_bit_for_bit_the_same(dataset, tmp_path):
    assert_no_difference(dataset, tmp_path)
    logs = [
        [line.split("s accuracy=")[1] for line in (tmp_path / name / "log.txt").read_text().splitlines()]
        for name in ("undisturbed", "killed")
    ]
    assert len(logs[0]) == 5
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_a_killed_distillation_ends_bit_for_bit_the_same(dataset, tmp_path, monkeypatch, capsys):
    """With random layers, an alpha that follows the step, weights of terms, class centres, mixed images."""
    monkeypatch.setattr(alarms, "TOO_HEAVY", 0.0)  # so that there is something to note
    teacher = network(seed=7)
    settings = dataclasses.replace(SETTINGS, augmentation="crop_flip+color_jitter+cutmix")
    _, done = assert_no_difference(dataset, tmp_path, teacher=teacher, settings=settings)
    assert len(set(done.history["alpha"])) == 5
    heavy = [note for note in done.notes if note.endswith("lower its weight")]
    assert len(heavy) == len(TERMS)
    said, log = capsys.readouterr().out, (tmp_path / "killed" / "log.txt").read_text()
    assert [said.count(note) for note in heavy] == [2, 2]  # once undisturbed, once killed
    assert [log.count(f"net note: {note}\n") for note in heavy] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"precision": "mixed_float16", "ema": 0.9},
        {"decay": "decoupled", "clip_norm": 0.0, "early_stopping": 1},
        {
            "optimizer": "adamw",
            "accumulation_steps": 2,
            "ema": 0.9,
            "early_stopping": 2,
            "label_smoothing": 0.1,
        },
    ],
    ids=str,
)
def test_every_optimiser_comes_back(dataset, tmp_path, change):
    assert_no_difference(dataset, tmp_path, settings=dataclasses.replace(SETTINGS, **change, epochs=5))


@pytest.mark.slow
def test_early_stopping_comes_back_whole(dataset, tmp_path):
    """Its patience, its best value and its best weights, which it puts back at the end."""

    def early_stopping():
        return [
            keras.callbacks.EarlyStopping(
                "val_loss", mode="max", min_delta=10, patience=3, restore_best_weights=True
            )
        ]

    model, done = assert_no_difference(dataset, tmp_path, make_callbacks=early_stopping)
    assert len(done.history["loss"]) == 4  # the first is the best by its rule
    again, redone = trained(dataset, tmp_path / "killed", [], make_callbacks=early_stopping)
    assert same(weights_of(again), weights_of(model))
    assert redone.history == done.history
    last, _ = trained(dataset, tmp_path / "plain", [], settings=SETTINGS)
    assert not same(weights_of(last), weights_of(model))


@pytest.mark.slow
def test_the_best_so_far_is_not_forgotten(dataset, tmp_path):
    """Of the learning rate, which is the highest in the first epoch."""

    def best_epoch():
        path = tmp_path / "best.weights.h5"
        rule = {"monitor": "learning_rate", "mode": "max", "save_best_only": True}
        return [keras.callbacks.ModelCheckpoint(path, save_weights_only=True, **rule)]

    trained(dataset, tmp_path / "run", [(2, 0)], make_callbacks=best_epoch)
    best, first = network(), network()
    best.load_weights(tmp_path / "best.weights.h5")
    trainer.train(first, dataset, SETTINGS, callbacks=[StopAfter(1)])
    assert same(weights_of(best), weights_of(first))


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 == self.epochs


def test_a_finished_training_is_not_repeated(dataset, tmp_path):
    class Steps(keras.callbacks.Callback):
        count = 0

        def on_train_batch_end(self, batch, logs=None):
            Steps.count += 1

    first, expected = trained(dataset, tmp_path, [], make_callbacks=lambda: [Steps()])
    assert Steps.count == 15
    second, found = trained(dataset, tmp_path, [], make_callbacks=lambda: [Steps()])
    assert Steps.count == 15
    assert same(weights_of(first), weights_of(second))
    assert found.history == expected.history


def test_a_damaged_checkpoint_costs_an_epoch_and_changes_nothing(dataset, tmp_path):
    undisturbed, _ = trained(dataset, tmp_path / "undisturbed", [])
    with pytest.raises(Killed):
        trainer.train(
            network(),
            dataset,
            SETTINGS,
            folder=tmp_path / "run",
            label="net",
            callbacks=[KillAt(3, 1)],
        )
    newest = tmp_path / "run" / "checkpoints" / "net.1.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"net\.1\.npz is damaged .*: going on from epoch 2 instead"):
        resumed, _ = trained(dataset, tmp_path / "run", [])
    assert same(weights_of(resumed), weights_of(undisturbed))


@pytest.mark.slow
def test_a_checkpoint_of_another_training_is_refused(dataset, tmp_path):
    trained(dataset, tmp_path, [(2, 0)], teacher=network(seed=7))
    with pytest.raises(ValueError, match="is of another training: teacher was '.*' and is '.*'"):
        trained(dataset, tmp_path, [], teacher=network(seed=8))
    with pytest.raises(ValueError, match="network was '.*' and is '.*'"):
        trainer.distill(
            network(seed=7),
            network(),
            dataset,
            SETTINGS,
            folder=tmp_path,
            label="net",
            callbacks=[KillAt(0, 0)],
        )
    other = dataclasses.replace(SETTINGS, learning_rate=0.2)
    with pytest.raises(ValueError, match=r"learning_rate was 0\.1 and is 0\.2"):
        trained(dataset, tmp_path, [], settings=other, teacher=network(seed=7))
    with pytest.raises(ValueError, match=r"callbacks was \['KillAt'\] and is \[\]"):
        trainer.distill(
            network(seed=7),
            network(shortcuts=False),
            dataset,
            SETTINGS,
            alpha=keras.optimizers.schedules.CosineDecay(0.9, 20),
            terms=TERMS,
            folder=tmp_path,
            label="net",
        )


def test_a_signal_stops_after_the_epoch_and_leaves_its_checkpoint(dataset, tmp_path):
    class Terminate(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            os.kill(os.getpid(), signal.SIGTERM)

    undisturbed, _ = trained(dataset, tmp_path / "undisturbed", [])
    before = signal.getsignal(signal.SIGTERM)
    with (
        callbacks.StopOnSignal() as stop,
        pytest.raises(callbacks.TrainingInterruptedError, match="stopped by SIGTERM with 1 of 5 epochs done"),
    ):
        trainer.train(
            network(), dataset, SETTINGS, folder=tmp_path / "run", label="net", callbacks=[stop, Terminate()]
        )
    assert signal.getsignal(signal.SIGTERM) == before
    model = network()
    trainer.train(
        model,
        dataset,
        SETTINGS,
        folder=tmp_path / "run",
        label="net",
        callbacks=[callbacks.StopOnSignal(), type("Terminate", (keras.callbacks.Callback,), {})()],
    )
    assert same(weights_of(model), weights_of(undisturbed))
