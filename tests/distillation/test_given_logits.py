"""Logits that come along with the labels, in place of a teacher that is asked."""

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd import losses
from tests.support.distillers import compiled, fitted, spied
from tests.support.networks import mlp, sparse_ce, weights_of


def logits_of(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


@pytest.mark.parametrize("with_teacher", [pytest.param(True, marks=pytest.mark.slow), False])
def test_given_logits_train_like_the_teacher(data, with_teacher):
    """The same numbers come in, so that the same weights come out, bit for bit."""
    x, y = data
    teacher, given = mlp(seed=1), {"labels": y, "teacher_logits": logits_of(mlp(seed=1), x)}
    students = [mlp(seed=2) for _ in range(2)]
    histories = []
    for student, asked, labels in zip(
        students, (teacher, teacher if with_teacher else None), (y, given), strict=True
    ):
        distiller = keras_kd.Distiller(asked, student, alpha=0.7)
        distiller.compile(keras.optimizers.SGD(0.1), sparse_ce(), metrics=["accuracy"])
        fitted = distiller.fit(
            x,
            labels,
            validation_data=(x[:9], keras.tree.map_structure(lambda v: v[:9], labels)),
            batch_size=16,
            epochs=2,
            shuffle=False,
            verbose=0,
        )
        histories.append(fitted.history)
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5, atol=1e-7)
    for one, other in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="minutes: JAX compiles each of them anew")
def test_every_loss_of_logits_takes_given_ones(data):
    x, y = data
    kinds = [kind for name, kind in losses.NAMES.items() if name != "kd"]
    terms = [(0.1, kind()) for kind in kinds if not issubclass(kind, losses.FeatureTerm)]
    assert len(terms) == 5
    logs = []
    for teacher, labels in (
        (mlp(seed=1), y),
        (None, {"labels": y, "teacher_logits": logits_of(mlp(seed=1), x)}),
    ):
        distiller = keras_kd.Distiller(teacher, mlp(seed=2), terms=terms)
        distiller.compile("sgd", sparse_ce(), run_eagerly=True, jit_compile=False)
        logs.append(distiller.evaluate(x, labels, batch_size=48, verbose=0, return_dict=True))
    assert logs[0] == pytest.approx(logs[1], rel=1e-5)


@pytest.mark.parametrize("as_dataset", [False, True])
def test_class_weight_beside_given_logits_is_answered_in_our_words(data, as_dataset):
    x, y = data
    given = {"labels": y, "teacher_logits": np.zeros((48, 4), "float32")}
    distiller = keras_kd.Distiller(None, mlp())
    distiller.compile("sgd", sparse_ce())
    arguments = (x, given)
    if as_dataset:
        arguments = (pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices((x, given)).batch(16),)
    with pytest.raises(ValueError, match="class_weight cannot be used .* give sample_weight instead"):
        distiller.fit(*arguments, class_weight={0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0}, shuffle=False, verbose=0)


def test_given_logits_spare_the_teacher(data):
    x, y = data
    teacher, spy = spied(1)
    given = {"labels": y, "teacher_logits": np.zeros((48, 4), "float32")}
    distiller = compiled(teacher, mlp(), run_eagerly=True)
    spy.modes.clear()
    fitted(distiller, x, given)
    assert spy.modes == []
    on_layer = [keras.distillation.FeatureDistillation("mse", "hidden", "hidden")]
    fitted(compiled(teacher, spied(2)[0], terms=on_layer, run_eagerly=True), x, given)
    assert spy.modes


def test_a_distiller_without_a_teacher_round_trips(data, tmp_path):
    x, _ = data
    distiller = keras_kd.Distiller(None, mlp(), alpha=1.0)
    distiller.compile("sgd")
    distiller.fit(x, {"teacher_logits": np.zeros((48, 4), "float32")}, verbose=0)
    distiller.save(tmp_path / "d.keras")
    loaded = keras.saving.load_model(tmp_path / "d.keras")
    assert loaded.teacher is None
    np.testing.assert_allclose(loaded.predict(x, verbose=0), distiller.predict(x, verbose=0), rtol=1e-6)


def test_without_a_teacher_its_logits_are_needed(data):
    x, y = data
    distiller = keras_kd.Distiller(None, mlp())
    distiller.compile("sgd", sparse_ce())
    with pytest.raises(ValueError, match="without a teacher its logits must come with the labels"):
        distiller.fit(x, y, verbose=0)
    distiller = keras_kd.Distiller(None, mlp())
    distiller.compile("sgd", sparse_ce())
    with pytest.raises(ValueError, match=r"same classes. Received: 3 \(teacher\) and 4 \(student\)"):
        distiller.fit(x, {"labels": y, "teacher_logits": np.zeros((48, 3), "float32")}, verbose=0)
    term = keras.distillation.FeatureDistillation("mse", "dense", "dense")
    with pytest.raises(ValueError, match="layer 'dense' needs the teacher itself. Received: teacher=None"):
        keras_kd.Distiller(None, mlp(), terms=[term])


def test_weights_of_examples_beside_given_logits_are_those_of_the_labels(data, rng):
    """As arrays, in one batch, and with the teacher itself: the same loss and the same weights."""
    x, y = data
    teacher, weights = mlp(seed=1), rng.uniform(0.1, 2, len(x)).astype("float32")
    given = {"labels": y, "teacher_logits": logits_of(teacher, x)}
    found = []
    for asked, labels in ((teacher, y), (None, given)):
        student = mlp(seed=2)
        distiller = keras_kd.Distiller(asked, student, alpha=0.7)
        distiller.compile(keras.optimizers.SGD(0.1), sparse_ce(), weighted_metrics=["accuracy"])
        options = {"batch_size": 16, "verbose": 0}
        validation = (x[:9], keras.tree.map_structure(lambda v: v[:9], labels), weights[:9])
        history = distiller.fit(
            x, labels, sample_weight=weights, shuffle=False, validation_data=validation, **options
        ).history
        logs = distiller.evaluate(x, labels, sample_weight=weights, return_dict=True, **options)
        found.append([*(each[-1] for each in history.values()), *logs.values(), *weights_of(student)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
