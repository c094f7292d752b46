"""What happens to the teacher and the student: how often they run, what changes."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

import keras_kd
from keras_kd.models import graph
from tests.support.distillers import Subclassed, compiled, evaluated, fitted, spied
from tests.support.networks import mlp, one_block, same, weights_of

IS_TENSORFLOW = keras.backend.backend() == "tensorflow"

resnet = functools.partial(one_block, channels=1)


@pytest.mark.parametrize("terms", [(), (keras.distillation.FeatureDistillation("mse", "hidden", "hidden"),)])
def test_each_network_runs_once_a_step(data, terms):
    x, y = data
    (teacher, teacher_spy), (student, student_spy) = spied(1), spied(2)
    distiller = compiled(teacher, student, terms=terms, run_eagerly=True)
    fitted(distiller, x, y, validation_data=(x, y))  # the first time Keras also looks at the shapes
    for spy in (teacher_spy, student_spy):
        spy.modes.clear()
    fitted(distiller, x, y, epochs=2)
    assert [bool(mode) for mode in teacher_spy.modes] == [False] * 6
    assert [bool(mode) for mode in student_spy.modes] == [True] * 6
    for spy in (teacher_spy, student_spy):
        spy.modes.clear()
    evaluated(distiller, x, y, batch_size=16)
    assert [bool(mode) for mode in teacher_spy.modes + student_spy.modes] == [False] * 6


@pytest.mark.skipif(not IS_TENSORFLOW, reason="of TensorFlow's functions")
def test_a_step_is_traced_once(data):
    """Twice, if its first call made the optimizer's variables."""
    x, y = data
    (teacher, _), (student, spy) = spied(1), spied(2)
    spy.modes.clear()
    fitted(compiled(teacher, student, optimizer=keras.optimizers.SGD(0.1, momentum=0.9)), x, y, epochs=2)
    assert [mode for mode in spy.modes if mode] == [True]


@pytest.mark.parametrize("trainable", [True, False])
def test_the_teacher_stays_as_it_was(data, trainable):
    x, y = data
    teacher, student = resnet(seed=1), resnet(seed=2, shortcuts=False)
    teacher.trainable = trainable
    teacher.get_layer("stage1_block1_conv1").trainable = False
    flags = [weight.trainable for weight in teacher.weights]
    before, started = weights_of(teacher), weights_of(student)
    fitted(compiled(teacher, student), x, y, epochs=2, validation_data=(x, y))
    assert same(before, weights_of(teacher))
    assert flags == [weight.trainable for weight in teacher.weights]
    assert not any(np.array_equal(a, b) for a, b in zip(started, weights_of(student), strict=True))


def test_a_frozen_layer_of_the_student_stays_frozen(data):
    x, y = data
    student = mlp(seed=2)
    student.layers[1].trainable = False
    before = weights_of(student)
    fitted(compiled(mlp(seed=1), student), x, y)
    changed = [not np.array_equal(a, b) for a, b in zip(before, weights_of(student), strict=True)]
    assert changed == [False, False, True, True]


def test_evaluate_and_predict_change_no_weight(data):
    x, y = data
    student = resnet(seed=2, shortcuts=False)
    distiller = compiled(
        resnet(seed=1),
        student,
        terms=[keras.distillation.FeatureDistillation("mse", "head_pool", "head_pool")],
    )
    fitted(distiller, x, y)
    before = weights_of(distiller)
    evaluated(distiller, x, y)
    logits = distiller.predict(x, verbose=0)
    assert same(before, weights_of(distiller))
    np.testing.assert_array_equal(logits, student.predict(x, verbose=0))
    np.testing.assert_allclose(distiller.predict(x, 8, verbose=0), logits, atol=1e-5)
    np.testing.assert_allclose(distiller.predict_on_batch(x), logits, atol=1e-5)


def test_predict_returns_what_the_student_does_and_a_call_its_logits(data):
    x, _ = data
    student = mlp(seed=2)
    ended = keras.Sequential([keras.Input((8, 8, 1)), student, layers.Softmax()])
    distiller = compiled(mlp(seed=1), ended)
    for predicted in (distiller.predict(x, verbose=0), distiller.predict_on_batch(x)):
        np.testing.assert_allclose(predicted, ended.predict(x, verbose=0), atol=1e-6)
    np.testing.assert_allclose(distiller(x), student(x), atol=1e-6)


def test_the_student_is_the_callers_model(data):
    x, _y = data
    student = resnet(seed=2)
    distiller = compiled(resnet(seed=1), student)
    assert distiller.student is student
    assert {id(w) for w in distiller.trainable_weights} == {id(w) for w in student.trainable_weights}
    assert len(distiller.variables) == len(distiller.trainable_variables) + len(
        distiller.non_trainable_variables
    )
    np.testing.assert_array_equal(distiller(x), student(x))


@pytest.mark.parametrize("built", [True, False])
def test_subclassed_networks_are_teachers_and_students(data, built, tmp_path):
    x, y = data
    teacher, student = Subclassed(), Subclassed()
    if built:
        teacher(x), student(x)
    distiller = compiled(teacher, student)
    before = evaluated(distiller, x, y)
    fitted(distiller, x, y, epochs=5)
    assert evaluated(distiller, x, y)["soft_loss"] < before["soft_loss"]
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), distiller.predict(x, verbose=0), atol=1e-6)


@pytest.mark.slow
def test_a_keras_application_is_a_teacher(rng):
    x, y = rng.normal(size=(8, 32, 32, 3)).astype("float32"), rng.integers(0, 4, 8)
    teacher = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=4, classifier_activation=None
    )
    before = weights_of(teacher)
    student = keras_kd.cifar_resnet(8, (32, 32, 3), 4, width=4, shortcuts=False)
    history = fitted(compiled(teacher, student), x, y, batch_size=8)
    logits = teacher.predict(x, verbose=0)
    assert same(before, weights_of(teacher))
    assert history["soft_loss"][0] > 0
    assert np.abs(logits).max() > 0


def with_head_inside(seed, behind=()):
    """A convolution before a model inside that ends in softmax."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1))
    head = [keras.Input((8, 8, 4)), layers.GlobalAveragePooling2D(), layers.Dense(4, "softmax")]
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, padding="same", name="conv")(image))
    x = keras.Sequential(head, name="head")(x)
    for layer in behind:
        x = layer(x)
    return keras.Model(image, x)


@pytest.mark.parametrize("behind", [(), (layers.Dropout(0.0),)])
def test_layers_before_a_model_inside_that_ends_in_softmax_are_looked_at(data, behind):
    x, y = data
    teacher, student = with_head_inside(1), with_head_inside(2, behind)
    term = keras.distillation.FeatureDistillation("mse", "norm", "norm")
    distiller = compiled(teacher, student, terms=[term])
    maps = [graph.feature_extractor(network, ["norm"])(x)["norm"] for network in (teacher, student)]
    found = evaluated(distiller, x, y)["feature_distillation_loss"]
    assert found == pytest.approx(np.mean(np.square(np.subtract(*map(keras.ops.convert_to_numpy, maps)))))
    before, kernel = (weights_of(student.get_layer(name)) for name in ("norm", "conv"))
    distiller.train_on_batch(x, y)
    convolved = keras.ops.convert_to_numpy(keras.ops.conv(x, kernel[0], padding="same")).mean(axis=(0, 1, 2))
    once = 0.99 * before[2] + 0.01 * convolved
    np.testing.assert_allclose(weights_of(student.get_layer("norm"))[2], once, atol=1e-6)
