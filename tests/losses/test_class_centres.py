"""KD++: features pulled along the direction of their class's centre, which is known before training."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_kd import Distiller, losses
from keras_kd.distillation import preparation
from keras_kd.models import graph
from keras_kd.utils import backend
from tests.support.distillers import compiled, evaluated, fitted
from tests.support.networks import mlp, one_block, same, weights_of

resnet = functools.partial(one_block, channels=1)


def reference(labels, centres, teacher, student):
    """Example by example, in float64."""
    values = []
    for label, t, s in zip(labels, teacher.astype(np.float64), student.astype(np.float64), strict=True):
        centre = centres[label].astype(np.float64)
        length, norm = np.linalg.norm(centre), max(np.linalg.norm(s), np.linalg.norm(t))
        values.append(1 - s @ centre / (length * norm) if length and norm else 1.0)
    return np.array(values)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 60.0, 1e25])
@pytest.mark.parametrize(("batch", "classes"), [(1, 2), (2, 3), (16, 1000)])
def test_equal_to_the_definition(rng, scale, batch, classes):
    labels = rng.integers(0, classes, batch)
    centres = (scale * rng.normal(size=(classes, 5))).astype("float32")
    teacher, student = ((scale * rng.normal(size=(batch, 5))).astype("float32") for _ in "ts")
    found = losses.norm_and_direction(labels, centres, teacher, student)
    assert np.asarray(found).shape == (batch,)
    np.testing.assert_allclose(found, reference(labels, centres, teacher, student), atol=1e-5)
    direction = losses.class_direction(labels, centres, student)
    np.testing.assert_allclose(direction, reference(labels, centres, 0 * teacher, student), atol=1e-5)
    one_hot = np.eye(classes, dtype="float32")[labels]
    np.testing.assert_array_equal(losses.norm_and_direction(one_hot, centres, teacher, student), found)


def test_its_least_value_and_what_the_norm_does():
    centres = np.array([[3.0, 4.0]])
    labels, teacher = np.array([0]), np.array([[0.0, 2.0]])
    values = [losses.norm_and_direction(labels, centres, teacher, size * centres) for size in (0.2, 0.4, 9)]
    np.testing.assert_allclose(np.concatenate(values), [0.5, 0.0, 0.0], atol=1e-6)
    assert np.asarray(losses.class_direction(np.array([0]), centres, -centres)) == pytest.approx(2.0)


def test_dead_features_and_empty_classes_say_1():
    centres, zeros, ones = np.array([[0.0, 0.0], [1.0, 2.0]]), np.zeros((2, 2)), np.ones((2, 2))
    for teacher, student in ((zeros, zeros), (ones, zeros)):
        found = losses.norm_and_direction(np.array([0, 1]), centres, teacher, student)
        np.testing.assert_array_equal(found, [1, 1])
    assert np.asarray(losses.class_direction(np.array([0]), centres, ones[:1])) == 1


def test_an_example_without_a_class_says_nothing():
    """As with `ignore_class=-1`."""
    found = losses.norm_and_direction(np.array([-1, 2, 1]), np.eye(2), np.ones((3, 2)), 2 * np.ones((3, 2)))
    np.testing.assert_allclose(found, [0, 0, 1 - np.sqrt(0.5)], rtol=1e-6)


def test_gradients_are_finite_differences(rng):
    labels, centres = np.array([0, 2, 1, 1]), rng.normal(size=(3, 5))
    teacher, student = rng.normal(size=(2, 4, 5))
    student[1], student[3] = 3 * student[1], 0  # a larger norm than the teacher's, and dead
    gradient = gradient_of(lambda s: losses.norm_and_direction(labels, centres, teacher, s), student)
    for place in np.ndindex(student.shape):
        step = np.zeros(student.shape)
        step[place] = 1e-6
        above, below = (reference(labels, centres, teacher, student + sign * step).sum() for sign in (1, -1))
        assert gradient[place] == pytest.approx((above - below) / 2e-6, abs=1e-5)
    assert not np.isnan(gradient_of(lambda s: losses.class_direction(labels, centres, s), 0 * student)).any()


def gradient_of(loss, point):
    """Of the sum of a loss's values."""
    points = [ops.convert_to_tensor(point, "float32")]
    _, (gradient,) = backend.value_and_gradient(lambda points: ops.sum(loss(points[0])))(points)
    return ops.convert_to_numpy(gradient)


def test_the_centres_are_the_teachers_mean_features(data):
    x, y = data
    teacher, student = resnet(seed=1), mlp(units=6, seed=2)
    distiller = compiled(teacher, student, alpha=0.5, terms=[(2.0, losses.ClassCentres())])
    before = weights_of(teacher)
    distiller.prepare(x, y, batch_size=20)
    assert same(before, weights_of(teacher))
    features = graph.feature_extractor(teacher, ["head_pool"]).predict(x, verbose=0)["head_pool"]
    centres = np.stack([features[y == each].astype(np.float64).mean(axis=0) for each in range(4)])
    adaptor = distiller.adaptors["class_centres_loss"]
    np.testing.assert_allclose(adaptor.centres, centres, rtol=1e-5, atol=1e-7)

    hidden = graph.feature_extractor(student, [student.layers[1].name]).predict(x, verbose=0)
    mapped = hidden[student.layers[1].name] @ ops.convert_to_numpy(adaptor.dense.kernel)
    measured = evaluated(distiller, x, y)
    expected = reference(y, centres, features, mapped).mean()
    assert measured["class_centres_loss"] == pytest.approx(expected, rel=1e-5)
    mixed = 0.5 * measured["hard_loss"] + 0.5 * measured["soft_loss"] + 2 * expected
    assert measured["loss"] == pytest.approx(mixed, rel=1e-5)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self._parts = [(x[:30], y[:30]), (x[30:], y[30:])]

    def __len__(self):
        return 2

    def __getitem__(self, step):
        return self._parts[step]


def test_fit_prepares_once_and_trains_the_map_but_not_the_centres(data):
    x, y = data
    distiller = compiled(resnet(seed=1), mlp(units=6, seed=2), terms=[losses.ClassCentres()])
    assert not distiller.is_prepared
    adaptor = distiller.adaptors["class_centres_loss"]
    kernel = np.array(adaptor.dense.kernel)
    history = distiller.fit(Batches(x, y), validation_data=(x, y), epochs=2, verbose=0).history
    assert history["val_class_centres_loss"][1] < history["class_centres_loss"][0]
    centres = np.array(adaptor.centres)
    distiller.fit(x[:30], y[:30], batch_size=30, verbose=0)
    np.testing.assert_array_equal(centres, adaptor.centres)
    assert not np.array_equal(kernel, adaptor.dense.kernel)
    distiller.prepare(x, y)
    np.testing.assert_allclose(centres, adaptor.centres, rtol=1e-6)


class Stream:
    """What a `tf.data.Dataset` says of its length: -1 without an end, -2 unknown."""

    def __init__(self, cardinality):
        self.cardinality = lambda: cardinality

    def __iter__(self):
        raise AssertionError("nobody knows where this ends")


def test_what_is_not_prepared_is_refused(data):
    x, y = data
    distiller = compiled(resnet(), resnet(seed=1), terms=[losses.ClassCentres()])
    message = r"call distiller\.prepare\(images, labels\)\. Received: "
    for ask in (distiller.evaluate, distiller.train_on_batch, distiller.test_on_batch):
        with pytest.raises(ValueError, match=message + "a Distiller that was not prepared"):
            ask(x, y)
    with pytest.raises(ValueError, match=message + "x of type generator"):
        distiller.fit((pair for pair in [(x, y)]), steps_per_epoch=1)
    for cardinality, steps in ((-1, None), (-1, 2), (-2, 2)):
        with pytest.raises(ValueError, match=message + "x of type Stream, which may have no end"):
            distiller.fit(Stream(cardinality), steps_per_epoch=steps)
    stream = Stream(-2)
    assert preparation.finite_batches(stream, None, None) is stream


def test_saved_with_the_distiller_and_not_with_the_student(data, tmp_path):
    x, y = data
    distiller = compiled(resnet(seed=1), mlp(units=6, seed=2), terms=[losses.ClassCentres()])
    distiller.prepare(x, y)
    distiller.train_on_batch(x, y)
    distiller.save(tmp_path / "whole.keras")
    distiller.student.save(tmp_path / "student.keras")
    again = keras.models.load_model(tmp_path / "whole.keras")
    assert again.is_prepared
    assert same(*(weights_of(each.adaptors["class_centres_loss"]) for each in (again, distiller)))
    assert evaluated(again, x, y) == pytest.approx(evaluated(distiller, x, y))
    student = keras.models.load_model(tmp_path / "student.keras")
    assert student.count_params() == mlp(units=6).count_params()


@pytest.mark.slow
def test_half_precision_and_xla(data):
    x, y = data
    keras.config.set_dtype_policy("mixed_float16")
    try:
        networks = resnet(seed=1), mlp(units=6, seed=2)
    finally:
        keras.config.set_dtype_policy("float32")
    distiller = compiled(*networks, terms=[losses.ClassCentres()], jit_compile=True)
    assert np.isfinite(fitted(distiller, x, y, batch_size=48)["class_centres_loss"]).all()
    assert {weight.dtype for weight in distiller.adaptors["class_centres_loss"].weights} == {"float32"}


def test_networks_that_it_cannot_compare_are_refused():
    with pytest.raises(ValueError, match=r"'stem_relu' .*one vector of known size .*\(None, 4, 4, 4\)"):
        Distiller(resnet(), resnet(), terms=[losses.ClassCentres(["stem_relu"], ["head_pool"])])
    with pytest.raises(ValueError, match="one layer of each network"):
        Distiller(resnet(), resnet(), terms=[losses.ClassCentres(["a", "b"], ["a", "b"])])
    with pytest.raises(ValueError, match="ClassCentres needs the teacher itself"):
        Distiller(None, resnet(), terms=[losses.ClassCentres()])
    yes_or_no = keras.losses.BinaryCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match="ClassCentres needs a class for each example"):
        compiled(mlp(classes=1), mlp(classes=1), loss=yes_or_no, terms=[losses.ClassCentres()])


def test_centres_are_of_the_training_examples_alone(data):
    x, y = data
    half, found = len(x) // 2, []
    apart = {"validation_data": (x[half:], y[half:])}
    for examples, options in (((x, y), {"validation_split": 0.5}), ((x[:half], y[:half]), apart)):
        distiller = compiled(resnet(seed=1), mlp(units=6, seed=2), terms=[losses.ClassCentres()])
        fitted(distiller, *examples, **options)
        found.append(weights_of(distiller.adaptors["class_centres_loss"]))
    assert same(*found)
