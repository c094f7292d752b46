"""Gradients that are summed over steps are those of each step's batch, for every kind of loss."""

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd import losses
from tests.support.networks import mlp, sparse_ce

TERMS = {
    "of rows": lambda teacher, student: losses.DecoupledTargets(),
    "of batches": lambda teacher, student: losses.Dist(),
    "with weights": lambda teacher, student: losses.Hint(teacher.layers[1].name, student.layers[1].name),
}


def trained(term, x, y, **options):
    """The weights of student and adaptor after one pass in batches of 8, from the same start."""
    teacher, student = mlp(8, seed=1), mlp(6, seed=2)
    keras.utils.set_random_seed(3)
    terms = [(0.5, TERMS[term](teacher, student))]
    distiller = keras_kd.Distiller(teacher, student, alpha=0.5, terms=terms)
    distiller.compile(keras.optimizers.SGD(0.1, **options), sparse_ce())
    distiller.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    return [np.array(weight) for weight in (*student.weights, *distiller.trainable_weights)]


@pytest.mark.slow
@pytest.mark.parametrize("term", TERMS)
def test_two_steps_that_are_summed_are_the_mean_of_both(data, term):
    x, y = data
    halves = [trained(term, x[rows], y[rows]) for rows in (slice(0, 8), slice(8, 16))]
    found = trained(term, x[:16], y[:16], gradient_accumulation_steps=2)
    for one, other, both in zip(*halves, found, strict=True):
        np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-5, atol=1e-6)
