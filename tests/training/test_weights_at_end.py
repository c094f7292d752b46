import dataclasses

import keras
import numpy as np
import pytest

from keras_kd.data import datasets
from keras_kd.models import weights
from keras_kd.training import config, evaluation, snapshots, trainer, weights_at_end
from tests.support.networks import mlp, one_block, same, weights_of

SETTINGS = config.Settings(
    epochs=2, batch_size=24, learning_rate=0.1, strategy="none", weight_decay=0.0, ema=0.8
)


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


class Averaged(keras.callbacks.Callback):
    """The moving average by hand, of the weights after each step, and those."""

    average = None

    def on_train_batch_end(self, batch, logs=None):
        self.now = [np.float64(weight.numpy()) for weight in self.model.trainable_weights]
        before = self.now if self.average is None else self.average
        self.average = [0.8 * old + 0.2 * new for old, new in zip(before, self.now, strict=True)]


def test_the_average_is_validated_and_kept(dataset):
    model, by_hand = one_block(), Averaged()
    history = trainer.train(model, dataset, SETTINGS, callbacks=[by_hand]).history
    for weight, expected in zip(model.trainable_weights, by_hand.average, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected, atol=1e-6)
    assert max(np.abs(a - b).max() for a, b in zip(by_hand.average, by_hand.now, strict=True)) > 1e-3
    found = evaluation.evaluate(model, dataset, "validation")
    assert found["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-4)
    assert found["accuracy"] == pytest.approx(history["val_accuracy"][-1])


def test_a_student_is_averaged_and_the_teacher_stays(dataset):
    teacher, student, by_hand = one_block(seed=1), one_block(seed=2), Averaged()
    before = weights_of(teacher)
    trainer.distill(teacher, student, dataset, SETTINGS, callbacks=[by_hand], trust_teacher=True)
    assert same(before, weights_of(teacher))
    for weight, expected in zip(student.trainable_weights, by_hand.average, strict=True):
        np.testing.assert_allclose(weight.numpy(), expected, atol=1e-6)


class Shifted:
    """Stands for an average of the weights: inside, they are larger."""

    def __init__(self, model, shift):
        self._model, self._shift = model, shift

    def __enter__(self):
        self._model.set_weights([weight + self._shift for weight in weights_of(self._model)])

    def __exit__(self, *error):
        self._model.set_weights([weight - self._shift for weight in weights_of(self._model)])


@pytest.mark.parametrize("shift", [0, 100])
def test_a_training_ends_with_the_weights_of_its_best_epoch(shift):
    model = mlp()
    model.stop_training = False
    stop = weights_at_end.StopEarly(2, model.weights, Shifted(model, shift) if shift else None)
    stop.set_model(model)
    stop.on_train_begin()
    for epoch, accuracy in enumerate((0.5, 0.7, 0.6, 0.7, 0.9)):
        model.set_weights([np.full_like(weight, epoch) for weight in weights_of(model)])
        stop.on_epoch_end(epoch, {"val_accuracy": accuracy})
        if model.stop_training:
            break
    assert epoch == 3
    stop.on_train_end()
    assert all((weight == 1 + shift).all() for weight in weights_of(model))


def test_a_network_that_loses_its_shortcuts_goes_on(capsys):
    settings = config.Settings(early_stopping=1)
    assert weights_at_end.callbacks_of(settings, mlp(), "plain", True) == (None, [])
    assert (
        "plain loses its shortcuts on the way, so it is trained to the last epoch" in capsys.readouterr().out
    )
    assert len(weights_at_end.callbacks_of(settings, mlp(), "plain", False)[1]) == 1


def test_the_first_of_the_best_epochs_is_kept_or_the_last():
    accuracies = [0.5, 0.7, 0.6, 0.7, 0.6]
    assert weights_at_end.kept_epoch(accuracies, selects=True) == 1
    assert weights_at_end.kept_epoch(accuracies, selects=False) == 4


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({"ema": 0.0}, [0, 2, 4]),
        ({}, [0, 2, 4]),
        # Too slow to become better: it ends after a second epoch, with the weights of the first.
        ({"early_stopping": 1, "learning_rate": 1e-4, "ema": 0.0}, [0, 2]),
        ({"early_stopping": 2, "learning_rate": 1e-4}, [0, 2, 3]),
    ],
)
def test_the_last_snapshot_is_the_network_that_is_kept(dataset, tmp_path, options, epochs):
    settings = dataclasses.replace(SETTINGS, epochs=4, **options)
    ended, again = {}, {}
    for place, found in (("way", ended), ("way again", again)):  # the second time it is finished
        model = one_block()
        way = snapshots.Snapshots(tmp_path / place, model, 3)
        trainer.train(model, dataset, settings, folder=tmp_path / "run", label="model", callbacks=[way])
        found |= snapshots.read_snapshots(tmp_path / place)
        last = found[max(found)]
        assert last.keys() == weights.weights_of(model).keys()
        assert same(list(last.values()), list(weights.weights_of(model).values()))
    assert list(ended) == epochs
    assert list(again) == epochs[-1:]
    assert same(list(ended[epochs[-1]].values()), list(again[epochs[-1]].values()))
