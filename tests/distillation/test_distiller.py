"""The formula: losses and gradients against NumPy and closed forms, and alpha from end to end."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from keras_kd import Distiller
from tests.support.distillers import compiled, evaluated, fitted, hard_losses, softmax
from tests.support.networks import mlp, one_block, same, sparse_ce, weights_of
from tests.support.reference import reference_kl

resnet = functools.partial(one_block, channels=1)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_gradient_is_the_closed_form(rng, alpha, temperature):
    """With one-hot inputs the kernel of a linear student is its matrix of logits."""
    batch, classes = 6, 5
    x, y = np.eye(batch, dtype="float32"), rng.integers(0, classes, batch)

    def linear():
        kernel = 3 * rng.normal(size=(batch, classes)).astype("float32")
        model = keras.Sequential([keras.Input((batch,)), layers.Dense(classes, use_bias=False)])
        model.set_weights([kernel])
        return model, kernel

    (teacher, t), (student, s) = linear(), linear()
    distiller = compiled(
        teacher, student, optimizer=keras.optimizers.SGD(1.0), alpha=alpha, temperature=temperature
    )
    fitted(distiller, x, y, batch_size=batch)
    gradient = s - student.get_weights()[0]
    soft = alpha * temperature * (softmax(s / temperature) - softmax(t / temperature)) / batch
    hard = (1 - alpha) * (softmax(s) - np.eye(classes)[y]) / batch
    np.testing.assert_allclose(gradient, soft + hard, atol=2e-6)


def test_the_logged_losses_are_the_reference(data):
    x, y = data
    teacher, student = mlp(seed=1), mlp(seed=2)
    measured = evaluated(compiled(teacher, student, alpha=0.7, temperature=3.0, metrics=["accuracy"]), x, y)
    t, s = (model.predict(x, verbose=0) for model in (teacher, student))
    hard, soft = hard_losses(s, y).mean(), reference_kl(t, s, 3.0).mean()
    assert measured["hard_loss"] == pytest.approx(hard, rel=1e-5)
    assert measured["soft_loss"] == pytest.approx(soft, rel=1e-5)
    assert measured["loss"] == pytest.approx(0.3 * hard + 0.7 * soft, rel=1e-5)
    assert measured["agreement"] == pytest.approx(np.mean(t.argmax(1) == s.argmax(1)))
    assert measured["accuracy"] == pytest.approx(np.mean(s.argmax(1) == y))
    assert measured["teacher_accuracy"] == pytest.approx(np.mean(t.argmax(1) == y))
    assert measured["student_accuracy"] == measured["accuracy"]


@pytest.mark.parametrize("ignored", [-1, 2, 255])
def test_examples_whose_label_is_ignored_count_in_no_accuracy(data, ignored):
    x, y = data
    y = np.where(np.arange(len(y)) % 3 == 0, ignored, y)
    teacher, student = mlp(seed=1), mlp(seed=2)
    found = evaluated(compiled(teacher, student, sparse_ce(ignore_class=ignored)), x, y, batch_size=13)
    t, s = (model.predict(x, verbose=0).argmax(1) for model in (teacher, student))
    counted = y != ignored
    assert found["teacher_accuracy"] == pytest.approx(np.mean(t[counted] == y[counted]))
    assert found["student_accuracy"] == pytest.approx(np.mean(s[counted] == y[counted]))
    assert found["agreement"] == pytest.approx(np.mean(t == s))  # which needs no labels


HAS_FLOAT64 = keras.backend.backend() != "jax"  # JAX has none unless it is told to


@pytest.mark.parametrize("dtype", [*(["float64"] if HAS_FLOAT64 else []), "float16", "bfloat16"])
def test_a_label_loss_may_have_a_dtype_of_its_own(data, dtype):
    wanted, found = (
        fitted(compiled(mlp(seed=1), mlp(seed=2), sparse_ce(dtype=each)), *data)
        for each in ("float32", dtype)
    )
    for name in ("loss", "hard_loss"):
        assert found[name] == pytest.approx(wanted[name], rel=1e-2)


def test_training_and_validation_log_the_same_measures(data):
    x, y = data
    history = fitted(compiled(mlp(seed=1), mlp(seed=2), alpha=0.7), x, y, epochs=2, validation_data=(x, y))
    names = {"loss", "hard_loss", "soft_loss", "agreement", "teacher_accuracy", "student_accuracy"}
    assert set(history) == names | {f"val_{name}" for name in names}
    for prefix in ("", "val_"):
        for hard, soft, loss in zip(
            *(history[prefix + n] for n in ("hard_loss", "soft_loss", "loss")), strict=True
        ):
            assert loss == pytest.approx(0.3 * hard + 0.7 * soft, rel=1e-5)


def test_uneven_batches_count_every_example_once(data):
    x, y = data
    distiller = compiled(mlp(seed=1), mlp(seed=2))
    whole = evaluated(distiller, x, y)
    assert evaluated(distiller, x, y, batch_size=13) == pytest.approx(whole, rel=1e-5)


def test_alpha_0_trains_bit_for_bit_like_the_students_own_fit(data):
    x, y = data
    regulariser = keras.regularizers.L2(1e-2)
    alone, taught = (resnet(seed=3, shortcuts=False) for _ in range(2))
    for model in (alone, taught):
        model.get_layer("stem_conv").kernel.regularizer = regulariser
    alone.compile(keras.optimizers.SGD(0.1, momentum=0.9), sparse_ce())
    distiller = compiled(resnet(seed=1), taught, optimizer=keras.optimizers.SGD(0.1, momentum=0.9), alpha=0.0)
    losses = [fitted(model, x, y, epochs=3)["loss"] for model in (alone, distiller)]
    assert same(weights_of(alone), weights_of(taught))
    assert losses[0] == losses[1]


def test_alpha_1_ignores_the_labels(data):
    x, y = data
    students = [mlp(seed=3) for _ in range(3)]
    for student, labels in zip(students, (y, 3 - y), strict=False):
        fitted(compiled(mlp(seed=1), student, alpha=1.0), x, labels, epochs=2)
    assert same(weights_of(students[0]), weights_of(students[1]))


def test_alpha_1_needs_no_labels(data):
    x, y = data
    with_labels, without = mlp(seed=3), mlp(seed=3)
    fitted(compiled(mlp(seed=1), with_labels, alpha=1.0), x, y, epochs=2)
    distiller = Distiller(mlp(seed=1), without, alpha=1.0)
    distiller.compile(keras.optimizers.SGD(0.1))
    fitted(distiller, x, epochs=2)
    assert same(weights_of(with_labels), weights_of(without))


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_regularisers_count_once_and_are_not_scaled(data, alpha):
    x, y = data
    student = mlp(seed=2, kernel_regularizer=keras.regularizers.L2(0.01))
    teacher = mlp(seed=1, kernel_regularizer=keras.regularizers.L2(7.0))
    measured = evaluated(compiled(teacher, student, alpha=alpha), x, y)
    penalty = 0.01 * np.sum(student.get_weights()[0].astype(np.float64) ** 2)
    mixed = (1 - alpha) * measured["hard_loss"] + alpha * measured["soft_loss"]
    assert measured["loss"] - mixed == pytest.approx(penalty, rel=1e-3)


def test_the_students_activity_regulariser_counts_and_the_teachers_does_not(data):
    x, y = data
    student = mlp(seed=2, activity_regularizer=keras.regularizers.L2(0.5))
    teacher = mlp(seed=1, activity_regularizer=keras.regularizers.L2(9.0))
    distiller = compiled(teacher, student, alpha=0.4)
    for measured in (evaluated(distiller, x, y), evaluated(distiller, x, y)):
        hidden = keras.Model(student.inputs, student.layers[1].output).predict(x, verbose=0)
        penalty = 0.5 * np.sum(hidden.astype(np.float64) ** 2) / len(x)
        mixed = 0.6 * measured["hard_loss"] + 0.4 * measured["soft_loss"]
        assert measured["loss"] - mixed == pytest.approx(penalty, rel=1e-3)


def test_alpha_follows_a_schedule_of_the_step(data):
    x, y = data
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [1.0, 0.25, 0.0])
    distiller = compiled(mlp(seed=1), mlp(seed=2), alpha=schedule, optimizer=keras.optimizers.SGD(0.0))
    measured = evaluated(compiled(mlp(seed=1), mlp(seed=2), alpha=0.0), x, y)
    for step, alpha in enumerate((1.0, 1.0, 0.25, 0.0, 0.0)):
        assert float(distiller.alpha_now()) == pytest.approx(alpha)
        assert int(distiller.step) == step
        loss = fitted(distiller, x, y, batch_size=48)["loss"][0]
        expected = (1 - alpha) * measured["hard_loss"] + alpha * measured["soft_loss"]
        assert loss == pytest.approx(expected, rel=1e-5)
