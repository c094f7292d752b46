"""Teachers of other pixels, sizes and classes find what they were trained on."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.training import adapt_teacher, evaluation, teacher_check
from keras_kd.training import teacher_preprocessing as preprocessing
from keras_kd.training.teacher_accuracy import fitting_order
from tests.support.colours import colour_teacher, coloured_dataset


@pytest.fixture(scope="module")
def dataset():
    return coloured_dataset()


SCALES = {
    "caffe": keras.applications.resnet50.preprocess_input,
    "minus_one_one": keras.applications.mobilenet_v2.preprocess_input,
    "imagenet": keras.applications.densenet.preprocess_input,
}


@pytest.mark.parametrize("name", SCALES)
def test_the_preprocessing_is_found_by_measuring(dataset, name, capsys):
    found = adapt_teacher(colour_teacher(lambda pixels: SCALES[name](pixels.copy())), dataset)
    assert evaluation.evaluate(found, dataset)["accuracy"] > 0.95
    (line,) = capsys.readouterr().out.splitlines()
    assert f"teacher 'mine': asked about images of 12x12x3, scaled as '{name}' (right on 1" in line
    assert "of 120 validation images; " in line
    assert line.endswith("% as 'dataset')")
    assert teacher_check.check_teacher(found, dataset) > 0.95


def test_what_is_expected_is_kept_unless_another_is_far_better(dataset):
    def scale(pixels):
        return (pixels / 255 - dataset.mean) / dataset.std

    network = colour_teacher(scale, shape=(6, 6, 3), name="resnet50")
    assert adapt_teacher(network, dataset) is network  # by its name it would be "caffe"
    assert adapt_teacher(network, dataset, expected="dataset") is network


def test_a_preprocessing_that_is_far_worse_than_another_is_refused(dataset, capsys):
    network = colour_teacher(lambda pixels: SCALES["caffe"](pixels.copy()))
    message = r"right on \d\d.\d% of 120 images with teacher_preprocessing='unit', and on 100.0% with 'caffe'"
    with pytest.raises(ValueError, match=message):
        adapt_teacher(network, dataset, preprocessing="unit")
    adapt_teacher(network, dataset, preprocessing="unit", trust=True)
    assert "note: the teacher 'mine' is right on" in capsys.readouterr().out


def test_the_students_classes_among_more(dataset, capsys):
    network = colour_teacher(lambda pixels: pixels, places=(6, 2, 0, 4), outputs=7)
    with pytest.raises(ValueError, match="'mine' has 7 outputs, and there are 4 classes: give a class_map"):
        adapt_teacher(network, dataset)
    found = adapt_teacher(network, dataset, class_map={"a": 6, "b": 2, "c": 0, "d": 4})
    assert evaluation.evaluate(found, dataset)["accuracy"] > 0.95
    assert "; 4 of its 7 outputs: 'a' <- 6, 'b' <- 2, 'c' <- 0, 'd' <- 4" in capsys.readouterr().out


def test_classes_in_another_order_do_not_hide_the_preprocessing(dataset):
    network = colour_teacher(lambda pixels: SCALES["imagenet"](pixels.copy()), places=(1, 2, 3, 0))
    found = adapt_teacher(network, dataset)
    with pytest.raises(ValueError, match="'a' is its output 1, .*in which 100.0% are right: class_map"):
        teacher_check.check_teacher(found, dataset)
    named = dict(zip("abcd", (1, 2, 3, 0), strict=True))
    assert teacher_check.check_teacher(adapt_teacher(network, dataset, class_map=named), dataset) > 0.95


def test_an_order_is_judged_on_examples_that_did_not_choose_it(rng):
    labels, predicted = rng.integers(0, 10, (2, 400))
    assert fitting_order(labels, predicted, 10)[1] < 0.2
    places, accuracy = fitting_order(labels, (labels + 4) % 10, 10)
    assert (places.tolist(), accuracy) == ([4, 5, 6, 7, 8, 9, 0, 1, 2, 3], 1.0)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("MobileNetV2", "minus_one_one"),
        ("MobileNetV3Small", "none"),
        ("ResNet50", "caffe"),
        ("ResNet50V2", "minus_one_one"),
        ("DenseNet121", "imagenet"),
        ("EfficientNetB0", "none"),
        ("VGG16", "caffe"),
    ],
)
@pytest.mark.slow
def test_families_of_keras_applications(family, expected):
    base = getattr(keras.applications, family)(
        input_shape=(32, 32, 3), weights=None, include_top=False, pooling="avg"
    )
    images = keras.Input((32, 32, 3))
    tuned = [
        keras.Model(base.inputs, layers.Dense(2)(base.outputs[0])),
        keras.Model(images, layers.Dense(2)(base(images))),
        keras.Sequential([keras.Input((32, 32, 3)), layers.RandomFlip(), base, layers.Dense(2)]),
    ]
    assert {preprocessing.expected_preprocessing(each) for each in (base, *tuned)} == {expected}


def test_other_networks_are_expected_to_be_trained_here(dataset):
    assert preprocessing.expected_preprocessing(colour_teacher(np.copy)) == "dataset"
    scaled = keras.Sequential([keras.Input((6, 6, 3)), layers.Rescaling(1 / 255), layers.Flatten()])
    assert preprocessing.expected_preprocessing(scaled) == "none"
