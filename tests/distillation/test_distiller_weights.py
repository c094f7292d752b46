"""Weights of examples and of classes, and how losses are reduced."""

import keras
import numpy as np
import pytest

from tests.support.distillers import compiled, evaluated, fitted, hard_losses
from tests.support.networks import mlp, same, sparse_ce, weights_of
from tests.support.reference import reference_kl


def test_sample_weight_weighs_every_term(data, rng):
    x, y = data
    weight = rng.uniform(0, 2, len(x)).astype("float32")
    teacher, student = mlp(seed=1), mlp(seed=2)
    feature = keras.distillation.FeatureDistillation("mse")
    distiller = compiled(teacher, student, alpha=0.7, temperature=3.0, terms=[(0.5, feature)])
    measured = evaluated(distiller, x, y, sample_weight=weight)
    t, s = (model.predict(x, verbose=0).astype(np.float64) for model in (teacher, student))
    hard, soft = (weight * hard_losses(s, y)).mean(), (weight * reference_kl(t, s, 3.0)).mean()
    features = (weight * ((t - s) ** 2).mean(axis=1)).mean()
    assert measured["hard_loss"] == pytest.approx(hard, rel=1e-5)
    assert measured["soft_loss"] == pytest.approx(soft, rel=1e-5)
    assert measured["feature_distillation_loss"] == pytest.approx(features, rel=1e-5)
    assert measured["loss"] == pytest.approx(0.3 * hard + 0.7 * soft + 0.5 * features, rel=1e-5)


def test_weights_0_and_1_equal_dropping_examples(data, rng):
    """Keras divides by the examples of the batch, or by their weights if the loss says so."""
    x, y = data
    keep = rng.uniform(size=len(x)) < 0.6
    weight = keep.astype("float32")
    teacher, student = mlp(seed=1), mlp(seed=2)
    dropped = evaluated(compiled(teacher, student), x[keep], y[keep])
    for reduction, share in (("mean_with_sample_weight", 1.0), ("sum_over_batch_size", keep.mean())):
        distiller = compiled(teacher, student, loss=sparse_ce(reduction=reduction))
        measured = evaluated(distiller, x, y, sample_weight=weight)
        for name in ("loss", "hard_loss", "soft_loss"):
            assert measured[name] == pytest.approx(share * dropped[name], rel=1e-5)


def test_weights_0_and_1_train_like_dropping_examples(data, rng):
    x, y = data
    keep = rng.uniform(size=len(x)) < 0.6
    students = mlp(seed=2), mlp(seed=2)
    loss = sparse_ce(reduction="mean_with_sample_weight")
    fitted(
        compiled(mlp(seed=1), students[0], loss=loss),
        x,
        y,
        batch_size=48,
        sample_weight=keep.astype("float32"),
    )
    fitted(compiled(mlp(seed=1), students[1], loss=loss), x[keep], y[keep], batch_size=48)
    for a, b in zip(*map(weights_of, students), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_class_weight_is_a_weight_per_example(data):
    x, y = data
    class_weight = {0: 0.5, 1: 2.0, 2: 0.0, 3: 1.0}
    weight = np.array([class_weight[label] for label in y], "float32")
    students = mlp(seed=2), mlp(seed=2)
    histories = [
        fitted(compiled(mlp(seed=1), students[0]), x, y, class_weight=class_weight),
        fitted(compiled(mlp(seed=1), students[1]), x, y, sample_weight=weight),
    ]
    assert same(*map(weights_of, students))
    teacher, fresh = mlp(seed=1), mlp(seed=2)
    t, s = (model.predict(x, verbose=0) for model in (teacher, fresh))
    soft = (weight * reference_kl(t, s, 4.0)).mean()
    whole = compiled(teacher, fresh, optimizer=keras.optimizers.SGD(0.0))
    history = fitted(whole, x, y, class_weight=class_weight, batch_size=48)
    assert history["soft_loss"][0] == pytest.approx(soft, rel=1e-5)
    assert histories[0]["loss"] == histories[1]["loss"]


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.CategoricalCrossentropy(from_logits=True),
        lambda y, logits: keras.losses.categorical_crossentropy(y, logits, from_logits=True),
    ],
)
def test_one_hot_labels_and_functions_are_hard_losses_too(data, loss):
    x, y = data
    sparse = evaluated(compiled(mlp(seed=1), mlp(seed=2)), x, y)
    one_hot = evaluated(compiled(mlp(seed=1), mlp(seed=2), loss=loss), x, np.eye(4, dtype="float32")[y])
    assert one_hot == pytest.approx({name: sparse[name] for name in one_hot}, rel=1e-6)


def test_a_loss_that_sums_makes_every_term_a_sum(data):
    x, y = data
    mean = evaluated(compiled(mlp(seed=1), mlp(seed=2)), x, y)
    total = evaluated(compiled(mlp(seed=1), mlp(seed=2), loss=sparse_ce(reduction="sum")), x, y)
    for name in ("loss", "hard_loss", "soft_loss"):
        assert total[name] == pytest.approx(len(x) * mean[name], rel=1e-5)
