import keras
import numpy as np
import pytest

from keras_kd.data import augmentation, datasets, lazy_images
from keras_kd.models import inference
from tests.support.networks import mlp


@pytest.fixture
def dataset(tmp_path, rng):
    images, labels = rng.integers(0, 256, (80, 8, 8, 1)).astype(np.uint8), np.arange(80) % 4
    train, test = slice(0, 50), slice(50, 80)
    arrays = {
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[test],
        "y_test": labels[test],
    }
    np.savez(tmp_path / "data.npz", **arrays)
    return datasets.load(tmp_path / "data.npz")


@pytest.mark.parametrize("batch_size", [1, 7, 29, 30, 100])
def test_every_example_is_asked_about_once_in_order(dataset, batch_size):
    model = mlp()
    found = inference.logits(model, dataset, "test", batch_size)
    images = augmentation.normalise(dataset.test.images, dataset.mean, dataset.std)
    expected = keras.ops.convert_to_numpy(model(images, training=False))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_fewer_large_images_are_asked_about_at_a_time(dataset, monkeypatch):
    model, sizes, normalise = mlp(), [], augmentation.normalise
    small = inference.logits(model, dataset, "test")

    def watched(images, *moments):
        sizes.append(len(images))
        return normalise(images, *moments)

    monkeypatch.setattr(augmentation, "normalise", watched)
    monkeypatch.setattr(lazy_images, "PIXELS_AT_ONCE", 12 * 4 * 8 * 8)
    np.testing.assert_allclose(inference.logits(model, dataset, "test"), small, rtol=1e-5, atol=1e-6)
    assert sizes == [10, 10, 10]


def test_dropout_is_off_and_nothing_changes(dataset):
    layers = [keras.layers.Flatten(), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(4)])
    before = [np.array(weight) for weight in model.get_weights()]
    first, second = (inference.logits(model, dataset, "test") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert all(map(np.array_equal, before, model.get_weights()))
