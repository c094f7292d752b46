"""What every door asks of a network before anything runs on it."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_kd import Distiller
from keras_kd.data import datasets
from keras_kd.models import network_checks
from keras_kd.training import Settings, evaluation, trainer
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp

SETTINGS = Settings(epochs=1, batch_size=24, strategy="none")


@pytest.fixture
def dataset(tmp_path, rng):
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(rng, shape=(8, 8, 1)))
    return datasets.load(str(tmp_path / "tiny.npz"))


def classifier(shape=(8, 8, 1), classes=4, outputs=1):
    images = keras.Input(shape)
    flat = layers.Flatten()(images)
    made = [layers.Dense(classes)(flat) for _ in range(outputs)]
    return keras.Model(images, made if outputs > 1 else made[0], name="mine")


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = layers.Dense(4)

    def call(self, inputs):
        return self.dense(inputs)


WRONG = {
    "a path": (lambda: "a.keras", "a keras.Model, read from its file by .*Received: 'a.keras'"),
    "nothing": (lambda: None, "be a keras.Model. Received: None"),
    "a layer": (lambda: layers.Dense(4), "be a keras.Model. Received: <Dense"),
    "unbuilt": (Unbuilt, "'mine' is not built: give it a keras.Input, or call it"),
    "other images": (
        lambda: classifier((9, 9, 1)),
        r"'mine' must take images of shape \(8, 8, 1\). Received: inputs of shape \(None, 9, 9, 1\)",
    ),
    "two outputs": (
        lambda: classifier(outputs=2),
        r"one output of shape .*Received: \(None, 4\), \(None, 4\)",
    ),
    "few classes": (
        lambda: classifier(classes=3),
        "an output for each of the 4 classes. Received: 3 outputs",
    ),
}


@pytest.mark.parametrize(("build", "message"), WRONG.values(), ids=WRONG)
def test_a_network_that_does_not_fit_is_named_at_each_door(dataset, build, message):
    doors = (
        lambda network: network_checks.check_fits(network, dataset),
        lambda network: trainer.train(network, dataset, SETTINGS),
        lambda network: evaluation.evaluate(network, dataset),
    )
    for door in doors:
        with pytest.raises(ValueError, match=f"the network .*{message}") as caught:
            door(build())
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("given", ["a.keras", None, layers.Dense(4)])
def test_a_distiller_takes_networks_alone(given):
    with pytest.raises(ValueError, match="the student must be a keras.Model"):
        Distiller(mlp(), given)
    if given is not None:  # then its logits come with the labels
        with pytest.raises(ValueError, match="the teacher must be a keras.Model"):
            Distiller(given, mlp())


def test_what_is_no_dataset_settings_terms_or_way_is_named(dataset):
    for ask, message in (
        (lambda: trainer.train(mlp(), (1, 2), SETTINGS), r"must be a keras_kd.data.Dataset, .*\(1, 2\)"),
        (
            lambda: trainer.train(mlp(), dataset, {"epochs": 1}),
            "settings must be a keras_kd.training.Settings",
        ),
        (lambda: trainer.train(mlp(), dataset, SETTINGS, shortcut_removal="fade"), "Received: 'fade'"),
        (
            lambda: evaluation.evaluate(mlp(), dataset, "valid"),
            "split must be one of train, validation, test",
        ),
        (lambda: Distiller(mlp(), mlp(), terms=keras.losses.MeanSquaredError()), "terms must be a list"),
    ):
        with pytest.raises(ValueError, match=message):
            ask()


@pytest.mark.parametrize(
    ("wanted", "given", "fits"),
    [
        ((None, 8, 8, 3), (16, 8, 8, 3), True),
        ((None, None, None, 3), (16, 9, 7, 3), True),
        ((None, 8, 8, 1), (16, 8, 8), True),
        ((None, 8, 8), (16, 8, 8, 1), True),
        ((None, 8, 8, 3), (16, 8, 8), False),
        ((None, 8, 8, 3), (16, 3, 8, 8), False),
        ((None, 64), (16, 8, 8), False),
    ],
)
def test_shapes_that_keras_takes(wanted, given, fits):
    assert network_checks.takes(wanted, given) == fits
