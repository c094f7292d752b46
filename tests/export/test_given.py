"""Networks that were trained elsewhere: how they want their pixels is found on images of their classes."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.data import image_decoding
from keras_kd.distillation import teacher_inputs
from keras_kd.export import given, prediction, signature
from keras_kd.models import serialization
from tests.support.arrays import tiny_arrays
from tests.support.image_folders import write_folder

ARRAYS = tiny_arrays(np.random.default_rng(0))


def nearest_mean(mean, std, order=range(4), activation="softmax", inside=False):
    """A classifier of the brightness of images that are scaled by `mean` and `std`, outside or inside."""
    brightness = (np.array([20.0, 70.0, 120.0, 170.0])[list(order)] / 255 - mean) / std
    image = keras.Input((8, 8, 3))
    scaled = layers.Rescaling(1 / (255 * std), -mean / std)(image) if inside else image
    dense = layers.Dense(4, activation)
    model = keras.Model(image, dense(layers.GlobalAveragePooling2D()(scaled)))
    kernel = np.repeat(brightness[None] / 3, 3, axis=0)
    dense.set_weights([100 * 2 * kernel / std, 100 * -(brightness**2) / std])
    return model


@pytest.fixture
def images(tmp_path):
    np.savez(tmp_path / "tiny.npz", **ARRAYS)
    return tmp_path / "tiny.npz"


def source_of(model, images, **options):
    path = images.parent / "any.keras"
    serialization.save_model(model, path)
    return given.find_source(path, images, **options)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("unit", nearest_mean(0.0, 1.0)),
        ("minus_one_one", nearest_mean(0.5, 0.5, activation=None)),
        ("none", nearest_mean(0.0, 1.0, inside=True)),
    ],
)
def test_how_pixels_are_scaled_is_found(name, model, images):
    source = source_of(model, images)
    assert source.dataset.preprocessing == name
    mean, std = teacher_inputs.SCALES[name]
    x = ARRAYS["x_test"].astype(np.float64)
    x = x if name == "none" else (x / 255 - mean) / std
    expected = np.asarray(keras.ops.softmax(source.network(x.astype("float32"))))
    predictor = prediction.of_source(source)
    found = predictor.probabilities(ARRAYS["x_test"])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert (found.argmax(axis=1) == ARRAYS["y_test"]).all()
    assert len(source.dataset.test.labels) == 24


def test_channels_are_reversed_for_caffe(images):
    source = source_of(nearest_mean(0.0, 1 / 255), images, preprocessing="none")
    dataset = given.GivenImages(
        **{name: getattr(source.dataset, name) for name in ("name", "train", "validation", "test")},
        class_names=source.dataset.class_names,
        flips=False,
        preprocessing="caffe",
    )
    x = ARRAYS["x_test"][..., ::-1].astype(np.float64) - np.array([103.939, 116.779, 123.68])
    np.testing.assert_allclose(signature.normalised(ARRAYS["x_test"], dataset), x, atol=1e-3)


def test_one_output_of_yes_or_no_becomes_two_classes(tmp_path):
    arrays = tiny_arrays(np.random.default_rng(0), classes=2)
    np.savez(tmp_path / "two.npz", **arrays)
    image = keras.Input((8, 8, 3))
    dense = layers.Dense(1, "sigmoid")
    model = keras.Model(image, dense(layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(image))))
    dense.set_weights([np.full((3, 1), 100 / 3), np.array([-100 * 45 / 255])])
    predictor = prediction.of_source(source_of(model, tmp_path / "two.npz"))
    found = predictor.probabilities(arrays["x_test"])
    assert (found.argmax(axis=1) == arrays["y_test"]).all()


def test_a_folder_is_read_in_the_networks_size_and_colour(tmp_path):
    folder = write_folder(tmp_path / "photos", tiny_arrays(np.random.default_rng(0), shape=(20, 20, 3)))
    image = keras.Input((8, 8, 1))
    source = given.read_images(folder, keras.Model(image, layers.Dense(4)(layers.Flatten()(image))))
    assert source.class_names == ("class0", "class1", "class2", "class3")
    assert source.image_shape == (8, 8, 1)
    first = image_decoding.read(folder / "test" / "class0" / "0000.png", 8).astype(float)
    grey = first @ [0.299, 0.587, 0.114]
    assert np.abs(source.test.images[0][..., 0] - grey).max() <= 1
    assert source.fingerprint


def test_what_does_not_fit_is_one_line(images, tmp_path):
    flat = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(7)])
    small = keras.Sequential([keras.Input((6, 6, 3)), layers.Flatten(), layers.Dense(4)])
    no_logits = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(4, "sigmoid")])
    maps = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 1)])
    swapped = nearest_mean(0.0, 1.0, order=(3, 2, 1, 0), inside=True)
    for model, message in (
        (flat, "has 7 outputs, and the images of .* have 4 classes"),
        (small, r"takes inputs of shape \(None, 6, 6, 3\). Received: images of shape \(8, 8, 3\)"),
        (no_logits, "ends in sigmoid"),
        (maps, r"must have one output of shape \[batch, classes\]"),
        (swapped, "its classes seem to be in another order .*'0' is its output 3"),
    ):
        with pytest.raises(ValueError, match=message):
            source_of(model, images)
    with pytest.raises(ValueError, match="is right on .* with preprocessing='minus_one_one', and on 100.0%"):
        source_of(nearest_mean(0.0, 1.0, inside=True), images, preprocessing="minus_one_one")
    (tmp_path / "any.txt").write_text("no network")
    with pytest.raises(ValueError, match=r"any.txt: is not a whole .keras file"):
        given.find_source(tmp_path / "any.txt", images)
    (tmp_path / "map.json").write_text(json.dumps({str(place): 3 - place for place in range(4)}))
    source = source_of(swapped, images, class_map=tmp_path / "map.json")
    found = prediction.of_source(source).probabilities(ARRAYS["x_test"])
    assert (found.argmax(axis=1) == ARRAYS["y_test"]).all()
