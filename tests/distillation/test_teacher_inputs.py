"""A teacher between other images and other classes, against Pillow, NumPy and keras.applications."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from scipy import special

from keras_kd.data.dataset import Dataset, Split
from keras_kd.distillation import teacher_inputs
from keras_kd.models import graph, outputs
from tests.support.networks import weights_of


def dataset_of(shape, classes=2, seed=0):
    rng = np.random.default_rng(seed)
    split = Split(rng.integers(0, 256, (6, *shape)).astype(np.uint8), np.arange(6) % classes)
    return Dataset("tiny", split, split, split, tuple("abcdefgh"[:classes]), flips=False)


def normalised(dataset):
    return ((dataset.train.images / 255 - dataset.mean) / dataset.std).astype("float32")


def prepared(dataset, preprocessing, image_shape):
    layer = teacher_inputs.TeacherInputs(dataset.mean, dataset.std, preprocessing, image_shape)
    return keras.ops.convert_to_numpy(layer(normalised(dataset)))


def with_pillow(images, size):
    """float64, each channel resized as a picture of numbers."""
    channels = [
        [
            Image.fromarray(image[..., channel].astype("float32")).resize(
                size[::-1], Image.Resampling.BILINEAR
            )
            for channel in range(images.shape[-1])
        ]
        for image in images
    ]
    return np.stack([np.stack(each, axis=-1) for each in channels]).astype(np.float64)


def by_hand(pixels, preprocessing):
    """What the documentation of `keras.applications.imagenet_utils.preprocess_input` says."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return {
        "imagenet": lambda: (pixels / 255 - mean) / std,
        "caffe": lambda: pixels[..., ::-1] - np.array([103.939, 116.779, 123.68]),
        "unit": lambda: pixels / 255,
        "minus_one_one": lambda: pixels / 127.5 - 1,
        "none": lambda: pixels,
    }[preprocessing]()


@pytest.mark.parametrize("size", [(8, 8), (4, 2), (12, 16)])
@pytest.mark.parametrize("preprocessing", teacher_inputs.SCALES)
def test_a_teacher_sees_the_pixels_that_it_was_trained_on(preprocessing, size):
    dataset = dataset_of((8, 8, 3))
    expected = by_hand(with_pillow(dataset.train.images, size), preprocessing)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        prepared(dataset, preprocessing, (*size, 3)) / scale, expected / scale, atol=1e-5
    )


def test_grey_images_are_repeated_and_coloured_ones_become_their_luminance():
    grey, colour = dataset_of((4, 4, 1)), dataset_of((4, 4, 3))
    np.testing.assert_allclose(
        prepared(grey, "none", (4, 4, 3)), np.repeat(grey.train.images, 3, axis=-1), atol=1e-3
    )
    luminance = colour.train.images @ np.array([0.2989, 0.587, 0.114])
    np.testing.assert_allclose(prepared(colour, "none", (4, 4, 1))[..., 0], luminance, atol=0.05)
    np.testing.assert_allclose(
        prepared(grey, "dataset", (4, 4, 3)), np.repeat(normalised(grey), 3, axis=-1), atol=1e-5
    )


def network(shape=(8, 8, 3), classes=2, activation=None):
    """With layers inside to be found, and a BatchNorm that has seen something."""
    keras.utils.set_random_seed(0)
    images = keras.Input(shape, name="image")
    x = layers.Conv2D(4, 3, strides=2, name="conv")(layers.Rescaling(2.0)(images))
    norm = layers.BatchNormalization(name="norm")
    x = norm(x)
    norm.moving_mean.assign([0.5, -0.5, 0.25, 1.0])
    x = layers.GlobalAveragePooling2D(name="pool")(layers.ReLU(name="relu")(x))
    return keras.Model(images, layers.Dense(classes, activation, name="head")(x), name="mine")


def test_the_teacher_behind_its_inputs_is_a_copy_whose_layers_are_found():
    dataset, teacher = dataset_of((4, 4, 1)), network()
    before = weights_of(teacher)
    found = teacher_inputs.adapted(teacher, dataset, "minus_one_one")
    taps = graph.feature_extractor(found, ["relu"])(normalised(dataset))
    pixels = by_hand(with_pillow(np.repeat(dataset.train.images, 3, axis=-1), (8, 8)), "minus_one_one")
    expected = graph.feature_extractor(teacher, ["relu"])(pixels.astype("float32"))
    for name in ("relu", "logits"):
        np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, (taps[name], expected[name])), atol=1e-5)
    assert (found.name, found.input_shape) == ("mine", (None, 4, 4, 1))
    assert not {id(weight) for weight in found.weights} & {id(weight) for weight in teacher.weights}
    assert all(map(np.array_equal, before, weights_of(teacher)))


def test_a_teacher_that_fits_stays_itself():
    teacher = network()
    assert teacher_inputs.adapted(teacher, dataset_of((8, 8, 3))) is teacher
    assert not teacher_inputs.is_adapted(teacher)


def test_a_layer_that_measured_pixels_keeps_what_it_measured(rng):
    measured = layers.Normalization()
    measured.adapt(rng.normal(100, 30, size=(64, 8, 8, 3)))
    teacher = keras.Sequential([keras.Input((8, 8, 3)), measured, layers.Flatten(), layers.Dense(2)])
    dataset = dataset_of((8, 8, 3))
    found = teacher_inputs.adapted(teacher, dataset, "none")
    answers = (found(normalised(dataset)), teacher(dataset.train.images.astype("float32")))
    np.testing.assert_allclose(*map(keras.ops.convert_to_numpy, answers), atol=1e-4)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="mine")
        self.dense = layers.Dense(3, "softmax")

    def call(self, images):
        return self.dense(keras.ops.mean(images, axis=(1, 2)))


def test_a_subclassed_teacher_is_inside():
    dataset, teacher = dataset_of((4, 4, 1)), Subclassed()
    teacher(np.zeros((1, 8, 8, 3), "float32"))
    found = teacher_inputs.adapted(teacher, dataset, "unit", places=[2, 0])
    pixels = np.repeat(dataset.train.images.mean(axis=(1, 2)) / 255, 3, axis=-1).astype("float32")
    expected = np.log(keras.ops.convert_to_numpy(teacher.dense(pixels)))[:, [2, 0]]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found(normalised(dataset))), expected, atol=1e-3)


def test_the_students_classes_are_chosen_among_the_logits():
    dataset, teacher = dataset_of((8, 8, 3), classes=3), network(classes=7, activation="softmax")
    found = keras.ops.convert_to_numpy(
        teacher_inputs.adapted(teacher, dataset, places=[5, 0, 6])(normalised(dataset))
    )
    scores = keras.ops.convert_to_numpy(outputs.with_logits(teacher)(normalised(dataset)))
    np.testing.assert_allclose(found, scores[:, [5, 0, 6]], atol=1e-6)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_yes_or_no_is_two_logits_with_the_same_probabilities(activation):
    dataset, teacher = dataset_of((8, 8, 3)), network(classes=1, activation=activation)
    found = keras.ops.convert_to_numpy(teacher_inputs.adapted(teacher, dataset)(normalised(dataset)))
    yes = keras.ops.convert_to_numpy(teacher(normalised(dataset))).astype(np.float64)
    yes = yes if activation else special.expit(yes)
    np.testing.assert_allclose(special.softmax(found.astype(np.float64), axis=1)[:, 1:], yes, atol=1e-6)


def test_an_adapted_teacher_is_saved_and_read(tmp_path):
    dataset = dataset_of((4, 4, 1))
    found = teacher_inputs.adapted(network(classes=3), dataset, "caffe", places=[2, 1])
    found.save(tmp_path / "teacher.keras")
    read = keras.saving.load_model(tmp_path / "teacher.keras", safe_mode=True)
    answers = [keras.ops.convert_to_numpy(each(normalised(dataset))) for each in (found, read)]
    np.testing.assert_array_equal(*answers)
    assert teacher_inputs.is_adapted(read)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: (network(), dataset_of((8, 8, 2))), "3 channels cannot be made of the dataset's 2"),
        (
            lambda: (keras.Sequential([keras.Input((12,)), layers.Dense(2)]), dataset_of((4, 4, 3))),
            r"must take images of shape \(height, width, channels\).*Received: inputs of shape \(None, 12\)",
        ),
        (lambda: (keras.Sequential([layers.Dense(2)]), dataset_of((4, 4, 3))), "is not built"),
        (
            lambda: (network((8, 8, 1)), dataset_of((4, 4, 1)), "caffe"),
            r"'caffe' is of 3 channels.*\(8, 8, 1\)",
        ),
        (lambda: (network(), dataset_of((4, 4, 1)), "tf"), "teacher_preprocessing must be one of dataset, "),
    ],
)
def test_a_teacher_that_cannot_be_asked_is_named(ask, message):
    with pytest.raises(ValueError, match=message) as caught:
        teacher_inputs.adapted(*ask())
    assert len(str(caught.value).splitlines()) == 1
