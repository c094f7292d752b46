"""The height of the loss at points, against networks whose weights are assigned."""

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.analysis.landscape import directions, surface
from keras_kd.models import weights
from tests.support.networks import mlp, same, weights_of


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    return keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4)


def assigned(model, point):
    copy = keras.models.clone_model(model)
    for weight in copy.weights:
        weight.assign(point[weight.path])
    return copy


def normed(**options):
    """BatchNorm on the pixels, and a dense layer."""
    layers = [keras.layers.Flatten(), keras.layers.BatchNormalization(**options), keras.layers.Dense(4)]
    return keras.Sequential([keras.Input((8, 8, 1)), *layers])


def measured(model, point, x, y, training=False):
    """Mean loss, accuracy, standard error, in float64."""
    logits = keras.ops.convert_to_numpy(assigned(model, point)(x, training=training)).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    values = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]
    return [values.mean(), np.mean(logits.argmax(axis=1) == y), values.std(ddof=1) / np.sqrt(len(y))]


@pytest.mark.parametrize("batch_size", [48, 16])
def test_heights_are_those_of_a_network_with_these_weights(network, data, batch_size):
    x, y = data
    plane = directions.random_plane(weights.weights_of(network), seed=1)
    places = directions.grid([-0.5, 0.0, 0.5], [-1.0, 0.25])
    before = weights_of(network)
    height = surface.LossSurface(network, x, y, batch_size=batch_size)
    found = height.along(plane)(places)
    wanted = [measured(network, plane.at(place), x, y) for place in places]
    np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=1e-5)
    np.testing.assert_allclose(height.at(plane.at(places[0])), found[0], rtol=1e-4)
    assert same(weights_of(network), before)


def test_the_loss_of_a_network_that_ends_in_softmax_is_that_of_its_logits(data):
    x, y = data
    scores = mlp()
    ended = keras.Model(scores.inputs[0], keras.layers.Softmax()(scores.outputs[0]))
    found = surface.LossSurface(ended, x, y).at(weights.weights_of(ended))
    np.testing.assert_allclose(found, measured(scores, weights.weights_of(scores), x, y), rtol=1e-5)


@pytest.mark.parametrize("batch_size", [48, 16])
def test_estimated_statistics_are_those_of_all_examples(data, batch_size):
    x, y = data
    network = normed(momentum=0.7)
    network.layers[1].moving_mean.assign(np.full(64, 3.0))
    point = weights.weights_of(network)
    height = surface.LossSurface(network, x, y, batch_norm="estimate", batch_size=batch_size)
    wanted = measured(network, point, x, y, training=True)  # one batch of all
    np.testing.assert_allclose(height.at(point), wanted, rtol=1e-4)
    kept = surface.LossSurface(network, x, y).at(point)
    assert abs(kept[0] - wanted[0]) > 0.1
    assert weights.weights_of(network)[network.layers[1].moving_mean.path].tolist() == [3.0] * 64


@pytest.mark.parametrize("batch_size", [48, 16])
def test_statistics_are_of_training_images_where_the_examples_are_not(data, batch_size):
    x, y = data
    network = normed()
    others = 3.0 + 2.0 * x[:20]
    point = weights.weights_of(network)
    height = surface.LossSurface(
        network, x, y, batch_norm="estimate", batch_size=batch_size, training_images=others
    )
    flat = others.reshape(20, -1).astype(np.float64)
    path = network.layers[1].path
    wanted = point | {f"{path}/moving_mean": flat.mean(0), f"{path}/moving_variance": flat.var(0)}
    np.testing.assert_allclose(height.at(point)[0], measured(network, wanted, x, y)[0], rtol=1e-3)
    plane = directions.random_plane(point)
    assert height.identity(plane) != surface.LossSurface(network, x, y, batch_norm="estimate").identity(plane)


def test_in_one_batch_a_deep_network_is_measured_as_in_training(network, data):
    x, y = data
    point = weights.weights_of(network)
    height = surface.LossSurface(network, x, y, batch_norm="estimate")
    np.testing.assert_allclose(height.at(point), measured(network, point, x, y, training=True), rtol=1e-3)


def twice_normed(momentum, times=2):
    """One BatchNorm that sees the pixels, and then 1, 2, ... more than their multiples."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(image)
    norm = keras.layers.BatchNormalization(momentum=momentum, name="norm")
    seen = [norm((call + 1.0) * x + call) for call in range(times)]
    return keras.Model(image, keras.layers.Dense(4, name="head")(keras.layers.Concatenate()(seen)))


@pytest.mark.parametrize(
    ("momentum", "times", "batch_size"),
    [(0.9, 2, 48), (0.5, 3, 16), (0.0, 2, 16), (0.99, 4, 48), (1.0, 2, 16), (1.0, 1, 48)],
)
def test_a_layer_that_is_called_several_times_has_the_average_of_what_it_sees(
    data, momentum, times, batch_size
):
    """As its moving averages have it in the end: each call's statistics, the last one's weighing most."""
    x, y = data
    network = twice_normed(momentum, times)
    point = weights.weights_of(network)
    found = surface.LossSurface(network, x, y, batch_norm="estimate", batch_size=batch_size).at(point)
    flat = x.reshape(48, -1).astype(np.float64)
    shares = [momentum ** (times - 1 - call) for call in range(times)]
    batches = flat.reshape(48 // batch_size, batch_size, -1)
    inputs = [[(call + 1.0) * batch + call for call in range(times)] for batch in batches]
    means = np.array([np.average([each.mean(0) for each in seen], axis=0, weights=shares) for seen in inputs])
    inner = np.array([np.average([each.var(0) for each in seen], axis=0, weights=shares) for seen in inputs])
    mean, variance = means.mean(0), inner.mean(0) + means.var(0)
    wanted = point | {"norm/moving_mean": mean, "norm/moving_variance": variance}
    np.testing.assert_allclose(found, measured(network, wanted, x, y), rtol=2e-3)
    assert network.get_layer("norm").momentum == momentum
    assert "call" not in vars(network.get_layer("norm"))


def test_frozen_statistics_stay(data):
    x, y = data
    network = normed()
    network.layers[1].trainable = False
    point = weights.weights_of(network)
    found = [surface.LossSurface(network, x, y, batch_norm=each).at(point) for each in surface.BATCH_NORM]
    np.testing.assert_array_equal(*found)


def test_twins_read_each_others_points(network, data):
    x, y = data
    plain = keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4, shortcuts=False)
    line = directions.line_between(weights.weights_of(network), weights.weights_of(plain))
    found = surface.LossSurface(plain, x, y).along(line)([[0.0], [1.0]])
    np.testing.assert_allclose(found[0], measured(plain, weights.weights_of(network), x, y), rtol=1e-4)
    np.testing.assert_allclose(found[1], measured(plain, weights.weights_of(plain), x, y), rtol=1e-4)


def test_what_is_not_finite_is_a_hole(data):
    x, y = data
    model = mlp()
    point = weights.weights_of(model)
    line = directions.Subspace(point, ({path: np.full(w.shape, 1e30) for path, w in point.items()},))
    found = surface.LossSurface(model, x, y).along(line)([[0.0], [1e8]])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_examples_that_fill_no_batch_are_left_out_and_told(data):
    x, y = data
    height = surface.LossSurface(mlp(), x[:47], y[:47], batch_size=16)
    assert height.examples == 45
    assert height.images.shape == (3, 15, 8, 8, 1)


def test_points_of_another_network_are_refused(network, data):
    x, y = data
    other = weights.weights_of(mlp(name="other"))
    line = directions.line_between(other, other)
    with pytest.raises(ValueError, match="'the subspace' and 'resnet8' have different weights"):
        surface.LossSurface(network, x, y).along(line)


def test_bad_arguments_are_refused(data):
    x, y = data
    with pytest.raises(ValueError, match="batch_norm must be one of .* Received: batch_norm='new'"):
        surface.LossSurface(mlp(), x, y, batch_norm="new")
    with pytest.raises(ValueError, match="at least one example"):
        surface.LossSurface(mlp(), x[:0], y[:0])


def test_so_many_examples_give_the_standard_error(rng):
    values = rng.normal(0.0, 2.0, 100_000)
    count = surface.examples_needed(values, 0.05)
    assert count == pytest.approx((2.0 / 0.05) ** 2, rel=0.02)
    assert values[:count].std() / np.sqrt(count) == pytest.approx(0.05, rel=0.05)
    assert surface.examples_needed(values, 10.0) == surface.FEWEST_EXAMPLES
    assert surface.examples_needed(values[:50], 1e-6) == 50
    with pytest.raises(ValueError, match="standard_error must be > 0"):
        surface.examples_needed(values, 0.0)


def test_each_image_needs_a_label(data):
    with pytest.raises(ValueError, match="one label for each image. Received: 48 images, 47 labels"):
        surface.LossSurface(mlp(), data[0], data[1][:47])
