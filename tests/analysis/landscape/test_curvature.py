"""Roughness of functions whose curvature is known."""

import keras
import numpy as np
import pytest
import scipy.sparse.linalg

from keras_kd.analysis.landscape import curvature, directions, geometry
from keras_kd.analysis.landscape.surface import LossSurface
from keras_kd.models import weights
from tests.support.networks import same, shaken, weights_of

SPECTRUM = np.array([-3.0, -0.5, 0.0, 0.1, 0.2, 1.0, 2.0, 4.0, 7.5, 8.0])


@pytest.fixture
def matrix(rng):
    """Symmetric, of known eigenvalues."""
    basis, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    return basis @ np.diag(SPECTRUM) @ basis.T


def softmax_regression(data):
    """A network without hidden layers, whose Hessian has a closed form, and its `Local`."""
    x, y = data
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    return model, curvature.FlatLoss(LossSurface(model, x, y, batch_size=16), weights.weights_of(model))


def hessian(model, x):
    """E[(diag(p) - p p') (x) (x x')], in the order of the flat weights: kernel [64, 4], bias [4]."""
    logits = keras.ops.convert_to_numpy(model(x)).astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    inputs = np.concatenate([x.reshape(len(x), -1), np.ones((len(x), 1))], axis=1)
    inner = np.einsum("ni,ij->nij", p, np.eye(4)) - np.einsum("ni,nj->nij", p, p)
    return np.einsum("na,nij,nb->aibj", inputs, inner, inputs).reshape(260, 260) / len(x)


def test_a_products_and_gradient_have_their_closed_form(data, rng):
    x, y = data
    model, local = softmax_regression(data)
    before = weights_of(model)
    wanted = hessian(model, x)
    vector = rng.normal(size=260)
    np.testing.assert_allclose(local.product(vector), wanted @ vector, rtol=1e-3, atol=1e-4)
    loss, gradient = local.value_and_gradient(local.origin)
    np.testing.assert_allclose(loss, LossSurface(model, x, y).at(weights.weights_of(model))[0], rtol=1e-5)
    step = 1e-2 * vector / np.linalg.norm(vector)
    ahead, behind = (local.value_and_gradient(local.origin + sign * step)[0] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(gradient @ step, rel=1e-2, abs=1e-5)
    assert same(weights_of(model), before)


def smooth_network():
    """A network without kinks, with BatchNorm whose statistics are its own."""
    keras.utils.set_random_seed(0)
    return shaken(
        keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Conv2D(3, 3, strides=2, use_bias=False),
                keras.layers.BatchNormalization(),
                keras.layers.Activation("tanh"),
                keras.layers.Flatten(),
                keras.layers.Dense(4),
            ]
        )
    )


def test_derivatives_are_those_of_finite_differences(data, rng):
    x, y = data
    model = smooth_network()
    height = LossSurface(model, x, y, batch_size=16)
    local = curvature.FlatLoss(height, weights.weights_of(model))
    vector = rng.normal(size=local.size)
    vector /= np.linalg.norm(vector)
    (ahead, gradient_ahead), (behind, gradient_behind) = (
        local.value_and_gradient(local.origin + step * vector) for step in (1e-2, -1e-2)
    )
    loss, gradient = local.value_and_gradient(local.origin)
    assert loss == pytest.approx(height.at(weights.weights_of(model))[0], rel=1e-5)
    assert (ahead - behind) / 2e-2 == pytest.approx(gradient @ vector, rel=2e-2, abs=1e-4)
    wanted = (gradient_ahead - gradient_behind) / 2e-2
    assert np.linalg.norm(local.product(vector) - wanted) < 0.02 * np.linalg.norm(wanted)


def test_curvature_along_a_random_direction_is_that_of_the_surface(data):
    x, y = data
    model = smooth_network()
    height, point = LossSurface(model, x, y, batch_size=16), weights.weights_of(model)
    local = curvature.FlatLoss(height, point)
    for number, direction in enumerate(directions.random_directions(point, 2, seed=3)):
        flat = local.flat(directions.random_direction(point, number, seed=3))
        line = height.along(directions.Subspace(point, (direction,)))
        behind, middle, ahead = line([[-0.03], [0.0], [0.03]])
        wanted = (ahead[0] - 2 * middle[0] + behind[0]) / 0.03**2
        assert flat @ local.product(flat) == pytest.approx(wanted, rel=0.05, abs=1e-3)
        assert np.linalg.norm(flat) == pytest.approx(np.sqrt(sum(np.sum(w**2.0) for w in direction.values())))


def test_weights_of_frozen_layers_are_not_among_them(data):
    x, y = data
    model = smooth_network()
    model.layers[0].trainable = False
    point = weights.weights_of(model)
    moved = point | {path: 1.5 * weight for path, weight in point.items() if "conv" in path}
    height = LossSurface(model, x, y, batch_size=16)
    here, there = (curvature.FlatLoss(height, each) for each in (point, moved))
    assert here.size == there.size == sum(w.size for w in point.values()) - 27 - 6
    assert there.value_and_gradient(there.origin)[0] == pytest.approx(height.at(moved)[0], rel=1e-5)
    assert here.value_and_gradient(here.origin)[0] != pytest.approx(height.at(moved)[0], rel=1e-2)
    model.trainable = False
    assert curvature.FlatLoss(LossSurface(model, x, y), point).size == 0


def test_a_networks_eigenvalues_and_trace_are_those_of_its_hessian(data):
    x, _ = data
    model, local = softmax_regression(data)
    wanted = hessian(model, x)
    values = np.linalg.eigvalsh(wanted)
    found = curvature.largest_eigenvalues(local.product, local.size, 3)
    np.testing.assert_allclose(found, values[::-1][:3], rtol=1e-3)
    trace = curvature.trace(local.product, local.size, samples=50)
    assert abs(trace.value - np.trace(wanted)) < 4 * trace.standard_error
    assert trace.standard_error < 0.1 * trace.value


def test_eigenvalues_of_a_known_spectrum(matrix):
    found = curvature.largest_eigenvalues(lambda v: matrix @ v, 10, 3)
    np.testing.assert_allclose(found, [8.0, 7.5, 4.0], rtol=1e-3)
    np.testing.assert_allclose(
        curvature.extreme_eigenvalues(lambda v: matrix @ v, 10), [-3.0, 8.0], rtol=1e-3
    )
    np.testing.assert_allclose(
        curvature.largest_eigenvalues(lambda v: matrix @ v, 10, 9), SPECTRUM[:0:-1], atol=1e-9
    )


def close_ones(rng):
    """Half of the largest in a bulk just below the first."""
    return np.concatenate([np.linspace(0, 0.1, 500), 1 - np.geomspace(1e-4, 0.5, 50)])


SPECTRA = {
    "close": close_ones,
    "far from zero": lambda rng: -np.linspace(5, 10, 300),
    "even": lambda rng: np.linspace(-1, 1, 500),
    "a bulk and three": lambda rng: np.concatenate([0.01 * rng.exponential(1, 1000), [1, 0.9, 0.5]]),
    "mostly negative": lambda rng: np.concatenate([-np.linspace(1, 10, 300), [0.05, 0.04, 0.01]]),
    "of random matrices": lambda rng: np.linalg.svd(rng.normal(size=(200, 400)) / 20)[1] ** 2,
}


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_eigenvalues_are_right_to_one_percent(rng, spectrum, count):
    values = SPECTRA[spectrum](rng)
    for seed in range(3):
        found = curvature.largest_eigenvalues(lambda v: values * v, len(values), count, seed=seed)
        np.testing.assert_allclose(found, np.sort(values)[::-1][:count], rtol=0.01)
    smallest, largest = curvature.extreme_eigenvalues(lambda v: values * v, len(values))
    bound = 0.01 * np.abs(values).max()
    assert (smallest, largest) == pytest.approx((values.min(), values.max()), abs=bound)


@pytest.mark.parametrize("count", [1, 3])
def test_a_negative_definite_matrix_has_eigenvalues(count):
    """Those next to 0 are right to 1 % of the largest magnitude, which is the other end's."""
    values = -np.geomspace(1e-3, 10, 600)
    found = curvature.largest_eigenvalues(lambda v: values * v, 600, count)
    np.testing.assert_allclose(found, np.sort(values)[::-1][:count], atol=0.1)
    assert (np.diff(found) <= 0).all()


def test_a_smallest_eigenvalue_of_zero_is_found(data):
    """Where an error is a share of it, none is small enough."""
    x, _ = data
    model, local = softmax_regression(data)
    asked = []

    def product(vector):
        asked.append(vector)
        return local.product(vector)

    smallest, largest = curvature.extreme_eigenvalues(product, local.size)
    wanted = np.linalg.eigvalsh(hessian(model, x))[-1]
    assert largest == pytest.approx(wanted, rel=0.01)
    assert abs(smallest) < 0.01 * wanted
    assert len(asked) < 200
    diagonal = np.concatenate([np.zeros(1500), np.linspace(0, 1, 1500), [9.0]])
    smallest, largest = curvature.extreme_eigenvalues(lambda v: diagonal * v, 3001)
    assert largest == pytest.approx(9.0, rel=0.01)
    assert abs(smallest) < 0.09
    assert curvature.extreme_eigenvalues(lambda v: 0 * v, 300) == (0.0, 0.0)


def test_a_matrix_has_no_more_eigenvalues_than_rows(matrix):
    with pytest.raises(ValueError, match="size 10 has no 11 eigenvalues"):
        curvature.largest_eigenvalues(lambda v: matrix @ v, 10, 11)


def test_power_iteration_agrees(matrix, rng):
    vector = rng.normal(size=10)
    for _ in range(2000):
        vector = matrix @ vector
        vector /= np.linalg.norm(vector)
    largest = curvature.largest_eigenvalues(lambda v: matrix @ v, 10)[0]
    assert largest == pytest.approx(vector @ matrix @ vector, rel=1e-3)


def test_products_that_are_not_finite_have_no_eigenvalues():
    assert np.isnan(curvature.largest_eigenvalues(lambda v: np.full(10, np.nan), 10, 2)).all()


def test_what_does_not_converge_has_no_eigenvalues(matrix, monkeypatch):
    def gives_up(*_, **__):
        raise scipy.sparse.linalg.ArpackNoConvergence("no convergence", np.zeros(0), np.zeros((10, 0)))

    monkeypatch.setattr(scipy.sparse.linalg, "eigsh", gives_up)
    assert np.isnan(curvature.extreme_eigenvalues(lambda v: matrix @ v, 10)).all()


def test_the_trace_of_a_known_matrix(matrix):
    found = curvature.trace(lambda v: matrix @ v, 10, samples=400)
    assert abs(found.value - SPECTRUM.sum()) < 4 * found.standard_error
    diagonal = np.diag(SPECTRUM)  # which sign vectors measure exactly
    exact = curvature.trace(lambda v: diagonal @ v, 10, samples=2)
    assert exact.value == pytest.approx(SPECTRUM.sum())
    assert exact.standard_error == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="samples must be at least 2"):
        curvature.trace(lambda v: v, 10, samples=1)


def surface(function, steps=(7, 9)):
    ticks = [np.linspace(-1, 1, n) for n in steps]
    return function(*np.meshgrid(*ticks, indexing="ij")), ticks


def test_a_quadratics_curvatures_are_its_eigenvalues():
    losses, ticks = surface(lambda a, b: 2 + a - 3 * b + 0.5 * (3 * a * a + 2 * 1.5 * a * b - b * b))
    smallest, largest = geometry.plane_eigenvalues(losses, ticks)
    wanted = np.linalg.eigvalsh([[3.0, 1.5], [1.5, -1.0]])
    np.testing.assert_allclose(smallest, np.full((5, 7), wanted[0]), rtol=1e-9)
    np.testing.assert_allclose(largest, np.full((5, 7), wanted[1]), rtol=1e-9)
    found = geometry.roughness(losses, ticks)
    assert found.ratio == pytest.approx(-wanted[0] / wanted[1])
    assert found.not_convex == 1.0
    assert (found.points, found.holes) == (35, 0)


def test_a_bowl_is_convex_and_half_a_wave_is_not():
    bowl = geometry.roughness(*surface(lambda a, b: 1e-3 + a * a + 0.1 * b * b))
    assert (bowl.ratio, bowl.not_convex) == (0.0, 0.0)
    wave = geometry.roughness(*surface(lambda a, b: np.sin(2 * np.pi * a) + b * b, (201, 5)))
    assert wave.not_convex == pytest.approx(0.5, abs=0.02)


def test_rounding_is_not_curvature():
    losses, ticks = surface(lambda a, b: 3 + 0 * a)
    rounded = np.float64(np.float32(losses * (1 + 5e-8 * np.random.default_rng(0).normal(size=losses.shape))))
    assert geometry.roughness(rounded, ticks).not_convex == 0.0


def test_holes_are_counted_and_touch_only_their_neighbours():
    losses, ticks = surface(lambda a, b: a * a - b * b)
    losses[0, 0] = np.nan
    found = geometry.roughness(losses, ticks)
    assert (found.points, found.holes) == (34, 1)
    assert found.ratio == pytest.approx(1.0)
    nothing = geometry.roughness(np.full((5, 5), np.nan), [np.arange(5.0)] * 2)
    assert nothing.points == 0
    assert np.isnan(nothing.not_convex)


def test_a_barrier_of_known_height():
    fractions = np.linspace(-0.5, 1.5, 41)
    line = 1.0 + 2.0 * fractions
    assert geometry.barrier(line, fractions) == pytest.approx(0.0, abs=1e-12)
    assert geometry.barrier(line + 3.0 * np.sin(np.pi * fractions), fractions) == pytest.approx(3.0)
    assert geometry.barrier(line - np.sin(np.pi * fractions), fractions) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="fractions must contain 0 and 1"):
        geometry.barrier([1.0, 2.0], [0.0, 0.9])


def test_a_quadratics_step_is_as_predictive_as_its_curvature(matrix, rng):
    origin = rng.normal(size=10)

    def ask(vector):
        return 0.5 * vector @ matrix @ vector, matrix @ vector

    sizes = np.array([0.01, 0.1, 0.5])
    found = curvature.gradient_predictiveness(ask, origin, sizes)
    gradient = matrix @ origin
    np.testing.assert_allclose(found.distances, sizes * np.linalg.norm(matrix @ gradient))
    np.testing.assert_allclose(found.changes, np.linalg.norm(matrix @ gradient) / np.linalg.norm(gradient))
    assert found.smoothness == pytest.approx(found.changes[0])
    after = origin - 0.5 * gradient
    assert found.losses[2] == pytest.approx(0.5 * after @ matrix @ after)
    there = matrix @ after
    wanted = there @ gradient / np.linalg.norm(there) / np.linalg.norm(gradient)
    assert found.cosines[2] == pytest.approx(wanted)
    with pytest.raises(ValueError, match="step sizes must be > 0"):
        curvature.gradient_predictiveness(ask, origin, [0.0])
