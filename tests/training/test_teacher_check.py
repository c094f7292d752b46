import dataclasses

import keras
import numpy as np
import pytest

from keras_kd.data import datasets
from keras_kd.training import teacher_check


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


class Nearest(keras.layers.Layer):
    """Scores of classes: minus the squared distance to the mean image of each, as the layer was given it."""

    def __init__(self, means):
        super().__init__()
        self.means = means.reshape(len(means), -1).astype("float32")

    def call(self, images):
        images = keras.ops.reshape(images, (-1, self.means.shape[1]))
        return 2 * images @ self.means.T - np.sum(self.means**2, axis=1)


def teacher(dataset, scaled):
    """A network that is good where pixels are scaled by `scaled`."""
    images = scaled(dataset.train.images.astype(np.float64))
    means = np.stack([images[dataset.train.labels == label].mean(axis=0) for label in range(10)])
    inputs = keras.Input(dataset.image_shape)
    return keras.Model(inputs, Nearest(means)(inputs))


def normalised(dataset):
    return lambda pixels: (pixels / 255 - dataset.mean) / dataset.std


def test_a_good_teacher_is_measured_on_validation(digits):
    network = teacher(digits, normalised(digits))
    found = teacher_check.check_teacher(network, digits, recorded=0.9)
    scores = network(normalised(digits)(digits.validation.images.astype(np.float64)).astype("float32"))
    assert found == np.mean(np.argmax(scores, axis=1) == digits.validation.labels) > 0.8


@pytest.mark.parametrize(
    ("scaled", "words"),
    [
        (lambda pixels: pixels - 500, "pixel values 0 to 255"),
        (lambda pixels: pixels / 255 + 7, "pixel values"),
    ],
)
def test_a_teacher_of_other_pixels_is_refused_with_the_scale(digits, scaled, words):
    class Shifted(keras.layers.Layer):
        def call(self, images):
            return scaled(images)

    network = teacher(digits, scaled)
    fed = keras.Sequential([keras.Input(digits.image_shape), Shifted(), network])
    message = rf"as they are normalised here, and on \d\d.\d% given {words}.*scales them itself"
    with pytest.raises(ValueError, match=message):
        teacher_check.check_teacher(fed, digits)


def test_a_teacher_far_below_what_its_run_measured_is_refused(digits):
    labels = np.random.default_rng(0).permutation(10)
    shuffled = dataclasses.replace(digits, train=digits.train._replace(labels=labels[digits.train.labels]))
    network = teacher(shuffled, normalised(digits))
    with pytest.raises(ValueError, match=r"its own run measured 95.0% on test: it was trained on other"):
        teacher_check.check_teacher(network, digits, recorded=0.95)


def test_a_teacher_at_chance_is_refused(digits):
    inputs = keras.Input(digits.image_shape)
    network = keras.Model(inputs, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(inputs) * 0))
    with pytest.raises(ValueError, match=r"no better than chance \(1\d.\d%\): it is untrained"):
        teacher_check.check_teacher(network, digits)


def test_a_few_images_do_not_show_that_a_teacher_is_at_chance(digits):
    few = dataclasses.replace(digits, validation=digits.validation.take(np.arange(8)))
    inputs = keras.Input(digits.image_shape)
    network = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs) * 0))
    assert teacher_check.check_teacher(network, few) <= 0.5


def test_without_validation_images_those_of_training_are_asked_about(digits):
    empty = dataclasses.replace(digits, validation=digits.validation.take(np.arange(0)))
    network = teacher(digits, normalised(digits))
    assert teacher_check.check_teacher(network, empty) > 0.8
