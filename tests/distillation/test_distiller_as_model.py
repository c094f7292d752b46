"""What any Keras model does, a Distiller does: saving, callbacks, compiling, mixed precision."""

import functools
import json

import keras
import numpy as np
import pytest

from keras_kd import Distiller, losses
from tests.support.distillers import compiled, evaluated, fitted
from tests.support.networks import mlp, one_block, same, weights_of

resnet = functools.partial(one_block, channels=1)


@pytest.mark.parametrize(
    "alpha",
    [
        pytest.param(0.7, marks=pytest.mark.slow),
        keras.optimizers.schedules.PolynomialDecay(0.9, 10, 0.1),
    ],
    ids=["number", "schedule"],
)
def test_the_whole_distiller_round_trips(data, tmp_path, alpha):
    x, y = data
    term = keras.distillation.FeatureDistillation("mse", "head_pool", "head_pool")
    distiller = compiled(
        resnet(seed=1),
        resnet(seed=2, shortcuts=False),
        alpha=alpha,
        temperature=3.0,
        terms=[(0.5, term)],
        metrics=["accuracy"],
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
    )
    fitted(distiller, x, y)
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    assert same(weights_of(distiller), weights_of(loaded))
    assert evaluated(loaded, x, y) == pytest.approx(evaluated(distiller, x, y), rel=1e-6)
    for model in (distiller, loaded):
        fitted(model, x, y)
    for a, b in zip(weights_of(distiller), weights_of(loaded), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_configuration_is_of_json_alone_whatever_a_term_weighs():
    rising = keras.optimizers.schedules.PolynomialDecay(0.0, 4, 2.0)
    distiller = Distiller(mlp(), mlp(seed=1), terms=[(rising, losses.Dist()), (0.5, losses.SoftTargets())])
    config = json.loads(json.dumps(distiller.get_config()))
    again = Distiller.from_config(config)
    schedule, number = (term.weight for term in again.terms.values())
    assert (schedule.get_config(), number) == (rising.get_config(), 0.5)


def test_the_student_alone_round_trips(data, tmp_path):
    x, y = data
    student = resnet(seed=2, shortcuts=False)
    fitted(compiled(resnet(seed=1), student), x, y)
    student.save(tmp_path / "student.keras")
    loaded = keras.saving.load_model(tmp_path / "student.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), student.predict(x, verbose=0))


@pytest.mark.slow
def test_what_is_exported_is_the_student(data, tmp_path):
    tf = pytest.importorskip("tensorflow")
    x, y = data
    distiller = compiled(mlp(seed=1), mlp(seed=2))
    fitted(distiller, x, y)
    distiller.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))  # its variables live as long as it does
    np.testing.assert_allclose(served.serve(x), distiller.student(x), rtol=1e-5, atol=1e-6)


def test_without_labels_no_loss_of_theirs_is_told(data):
    distiller = Distiller(mlp(seed=1), mlp(seed=2), alpha=1.0)
    distiller.compile("sgd")
    assert "hard_loss" not in distiller.evaluate(data[0], verbose=0, return_dict=True)


def test_callbacks_of_keras_work(data, tmp_path):
    x, y = data
    student = mlp(seed=2)
    callbacks = [
        keras.callbacks.EarlyStopping("val_soft_loss", patience=1, mode="min"),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    distiller = compiled(mlp(seed=1), student, optimizer=keras.optimizers.SGD(0.0))
    history = fitted(distiller, x, y, epochs=9, validation_data=(x, y), callbacks=callbacks)
    assert len(history["loss"]) == 2
    assert "val_agreement" in (tmp_path / "log.csv").read_text().splitlines()[0]
    distiller.load_weights(tmp_path / "best.weights.h5")


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="minutes: JAX compiles each operation alone")
def test_jit_compile_computes_the_same(data):
    x, y = data
    histories = [
        fitted(compiled(mlp(seed=1), mlp(seed=2), jit_compile=jit), x, y, epochs=2) for jit in (True, False)
    ]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)


def test_a_student_that_was_loaded_still_has_its_loss_scaled(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        resnet(seed=2).save(tmp_path / "student.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    student = keras.saving.load_model(tmp_path / "student.keras")
    optimizer = compiled(resnet(seed=1), student).optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.parametrize("policy", [pytest.param("mixed_bfloat16", marks=pytest.mark.slow), "mixed_float16"])
def test_mixed_precision_trains_near_float32(data, policy):
    x, y = data
    keras.config.set_dtype_policy(policy)
    try:
        student = resnet(seed=2, shortcuts=False)
    finally:
        keras.config.set_dtype_policy("float32")
    distiller = compiled(resnet(seed=1), student)
    exact = fitted(compiled(resnet(seed=1), resnet(seed=2, shortcuts=False)), x, y)
    assert fitted(distiller, x, y)["loss"] == pytest.approx(exact["loss"], rel=0.05)
    is_scaled = isinstance(distiller.optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (policy == "mixed_float16")
    assert all(weight.dtype == "float32" for weight in student.trainable_weights)
