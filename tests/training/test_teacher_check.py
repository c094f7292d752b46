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
        (lambda pixels: pixels - 500, "none"),
        (lambda pixels: pixels / 255 + 7, "(unit|minus_one_one|none)"),
    ],
)
def test_a_teacher_of_other_pixels_is_refused_with_the_scale(digits, scaled, words):
    class Shifted(keras.layers.Layer):
        def call(self, images):
            return scaled(images)

    network = teacher(digits, scaled)
    fed = keras.Sequential([keras.Input(digits.image_shape), Shifted(), network])
    message = rf"normalised here, and on \d\d.\d% with teacher_preprocessing='{words}'.*scales them itself"
    with pytest.raises(ValueError, match=message):
        teacher_check.check_teacher(fed, digits)


def reordered(digits, labels):
    """A good teacher but for the order of its classes."""
    shuffled = dataclasses.replace(digits, train=digits.train._replace(labels=labels[digits.train.labels]))
    return teacher(shuffled, normalised(digits))


def test_a_teacher_far_below_what_its_run_measured_is_refused(digits):
    network = reordered(digits, np.random.default_rng(0).permutation(10))
    with pytest.raises(
        ValueError, match=r"its own run measured 95.0% on test: its classes seem to be in anot"
    ):
        teacher_check.check_teacher(network, digits, recorded=0.95)
    mirrored = dataclasses.replace(
        digits, validation=digits.validation._replace(images=255 - digits.validation.images)
    )
    network = teacher(digits, normalised(digits))
    with pytest.raises(ValueError, match=r"measured 95.0% on test: it was trained on other images"):
        teacher_check.check_teacher(network, mirrored, recorded=0.95)


def test_the_order_of_the_classes_is_found(digits):
    order = np.roll(np.arange(10), 3)
    with pytest.raises(
        ValueError,
        match=r"chance .*another order \('0' is its output 7, '1' is its output 8, '2' is its output 9\), in "
        r"which [89]\d.\d% are right: class_map",
    ) as caught:
        teacher_check.check_teacher(reordered(digits, order), digits)
    assert len(str(caught.value).splitlines()) == 1


def test_a_teacher_that_is_trusted_is_told_of(digits, capsys):
    network = reordered(digits, np.roll(np.arange(10), 3))
    assert teacher_check.check_teacher(network, digits, trust=True) < 0.2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("note: the teacher")
    assert line.endswith("; it is trusted")


def test_a_teacher_at_chance_is_refused(digits):
    inputs = keras.Input(digits.image_shape)
    network = keras.Model(inputs, keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(inputs) * 0))
    with pytest.raises(ValueError, match=r"no better than chance \(1\d.\d%\): it is untrained"):
        teacher_check.check_teacher(network, digits)


def test_logits_that_are_kept_are_measured_in_place_of_the_teacher(digits):
    class Kept:
        def validation(self, start, stop):
            return np.eye(10)[digits.validation.labels][start:stop]

    inputs = keras.Input(digits.image_shape)
    network = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs)))
    assert teacher_check.check_teacher(network, digits, kept=Kept()) == 1.0


def test_a_few_images_do_not_show_that_a_teacher_is_at_chance(digits):
    few = dataclasses.replace(digits, validation=digits.validation.take(np.arange(8)))
    inputs = keras.Input(digits.image_shape)
    network = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs) * 0))
    assert teacher_check.check_teacher(network, few) <= 0.5


def test_without_validation_images_those_of_training_are_asked_about(digits):
    empty = dataclasses.replace(digits, validation=digits.validation.take(np.arange(0)))
    network = teacher(digits, normalised(digits))
    assert teacher_check.check_teacher(network, empty) > 0.8
