"""One yes or no as two classes: the same losses, against float64 by hand."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_kd.losses import soft_target_kl
from keras_kd.models import registry, two_logits
from tests.support.distillers import hard_losses


def yes_or_no(seed=0, activation=None):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(1, activation)])


def numbers(network, images):
    return ops.convert_to_numpy(network(images)).astype(np.float64)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_losses_of_two_logits_are_those_of_a_yes_or_no(rng, activation):
    images, labels = rng.normal(size=(16, 8, 8, 1)).astype("float32"), rng.integers(0, 2, 16)
    teacher, student = yes_or_no(0, activation), yes_or_no(1, activation)
    of_teacher, of_student = (numbers(two_logits(network), images) for network in (teacher, student))
    z, s = of_teacher[:, 1], of_student[:, 1]
    given = numbers(teacher, images)[:, 0]
    np.testing.assert_allclose(given, sigmoid(z) if activation else z, rtol=1e-5)
    np.testing.assert_array_equal(of_teacher[:, 0], 0)
    binary = -labels * np.log(sigmoid(s)) - (1 - labels) * np.log(sigmoid(-s))
    np.testing.assert_allclose(hard_losses(of_student, labels), binary, rtol=1e-6)
    p, q = sigmoid(z / 3), sigmoid(s / 3)
    bernoulli = 9 * (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    found = soft_target_kl(of_teacher.astype("float32"), of_student.astype("float32"), 3.0)
    np.testing.assert_allclose(ops.convert_to_numpy(found), bernoulli, rtol=1e-4)


def test_a_file_of_a_yes_or_no_is_a_network_of_two_classes(tmp_path, rng):
    network = yes_or_no(activation="sigmoid")
    network.save(tmp_path / "binary.keras")
    dataset = SimpleNamespace(image_shape=(8, 8, 1), num_classes=2)
    found = registry.build_for(str(tmp_path / "binary.keras"), dataset)
    images = rng.normal(size=(4, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(sigmoid(numbers(found, images)[:, 1:]), numbers(network, images), rtol=1e-5)
    dataset.num_classes = 3
    with pytest.raises(ValueError, match="an output for each of the 3 classes. Received: 1 outputs"):
        registry.build_for(str(tmp_path / "binary.keras"), dataset)
