"""Directions and planes in weight space against closed forms."""

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.analysis.landscape import directions
from keras_kd.models.weights import weights_of


def twins():
    return [
        weights_of(keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4, shortcuts=shortcuts))
        for shortcuts in (True, False)
    ]


def points(rng, count):
    return [
        {"conv/kernel": rng.normal(size=(3, 3, 2, 4)), "bn/moving_mean": rng.normal(size=4)}
        for _ in range(count)
    ]


def distance(one, other):
    return np.sqrt(np.sum((one["conv/kernel"] - other["conv/kernel"]) ** 2))


def filters(layer, kernel):
    """A row of numbers for each output channel of a real layer: what the channel depends on."""
    inputs = kernel.shape[-1] if "Transpose" in type(layer).__name__ else kernel.shape[-2]
    bare = layer.from_config(layer.get_config())
    bare.build((1, 3, 3, inputs))
    rows = []
    for place in range(kernel.size):
        one = np.zeros(kernel.size, "float32")
        one[place] = 1.0
        bare.kernel.assign(one.reshape(kernel.shape))
        seen = np.abs(keras.ops.convert_to_numpy(bare(np.ones((1, 3, 3, inputs), "float32"))))
        rows.append(seen.sum(axis=(0, 1, 2)) > 0)
    return [kernel.reshape(-1)[np.array(rows)[:, channel]] for channel in range(len(rows[0]))]


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(4, 3, use_bias=False, padding="same"),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, padding="same"),
        keras.layers.Conv2DTranspose(5, 3, use_bias=False, padding="same"),
    ],
)
def test_each_filter_of_a_direction_has_the_norm_of_the_layers_filter(layer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3, 3, 2)), layer])
    weights = weights_of(model)
    (direction,) = directions.random_directions(weights, 1, outputs=directions.output_axes(model))
    ours, theirs = (filters(layer, next(iter(each.values()))) for each in (direction, weights))
    assert len(ours) == model.output_shape[-1]
    assert [np.linalg.norm(each) for each in ours] == pytest.approx(
        [np.linalg.norm(each) for each in theirs], rel=1e-5
    )


def test_a_filter_of_zeros_stays():
    (direction,) = directions.random_directions({"conv/kernel": np.zeros((3, 3, 1, 2))}, 1)
    assert not direction["conv/kernel"].any()


def test_vectors_stay_unless_asked_and_statistics_always():
    weights, _ = twins()
    (still,) = directions.random_directions(weights, 1)
    assert all(weights[path].ndim >= 2 for path in still)
    (moving,) = directions.random_directions(weights, 1, vectors=True)
    assert set(weights) - set(moving) == {path for path in weights if "moving" in path}
    assert np.linalg.norm(moving["stem_bn/gamma"]) == pytest.approx(2.0)  # four ones


def test_twins_get_the_same_directions_and_other_seeds_do_not():
    keras.utils.set_random_seed(0)
    residual, plain = twins()
    plain = {path: 2 * weight for path, weight in residual.items()}
    (first,), (second,) = (directions.random_directions(w, 1, seed=3) for w in (residual, plain))
    for path, step in first.items():
        np.testing.assert_allclose(second[path], 2 * step, rtol=1e-6)
    one, two = directions.random_directions(residual, 2, seed=3)
    (other,) = directions.random_directions(residual, 1, seed=4)
    for different in (two, other):
        cosine = sum(np.vdot(one[p], different[p]) for p in one) / np.sqrt(
            sum(np.vdot(one[p], one[p]) for p in one) * sum(np.vdot(different[p], different[p]) for p in one)
        )
        assert abs(cosine) < 0.1


def test_points_are_origin_plus_coordinates_times_axes(rng):
    origin, first, second = points(rng, 3)
    plane = directions.Subspace(origin, (first, {"conv/kernel": second["conv/kernel"]}))
    found = plane.at((0.5, -2.0))
    wanted = origin["conv/kernel"] + 0.5 * first["conv/kernel"] - 2.0 * second["conv/kernel"]
    np.testing.assert_allclose(found["conv/kernel"], wanted, rtol=1e-6)
    np.testing.assert_allclose(
        found["bn/moving_mean"], origin["bn/moving_mean"] + 0.5 * first["bn/moving_mean"], rtol=1e-6
    )


def test_a_line_leads_from_one_network_to_the_other(rng):
    first, second = points(rng, 2)
    line = directions.line_between(first, second, ("a", "b"))
    assert line.marks == {"a": (0.0,), "b": (1.0,)}
    for path in first:
        np.testing.assert_allclose(line.at((0.0,))[path], first[path], rtol=1e-6)
        np.testing.assert_allclose(line.at((1.0,))[path], second[path], rtol=1e-6)
        np.testing.assert_allclose(
            line.at((0.25,))[path], 0.75 * first[path] + 0.25 * second[path], rtol=1e-5
        )


def test_a_plane_through_three_networks_holds_them_and_keeps_distances(rng):
    networks = points(rng, 3)
    plane = directions.plane_through(*networks, names=("a", "b", "c"))
    marks = np.array(list(plane.marks.values()))
    for network, mark in zip(networks, marks, strict=True):
        for path in network:  # the statistics too
            np.testing.assert_allclose(plane.at(mark)[path], network[path], atol=1e-5)
    for i in range(3):
        for j in range(i):
            assert np.linalg.norm(marks[i] - marks[j]) == pytest.approx(distance(networks[i], networks[j]))


def test_networks_on_one_line_span_no_plane(rng):
    first, second = points(rng, 2)
    middle = directions.line_between(first, second).at((0.5,))
    with pytest.raises(ValueError, match="a, b, c lie on one line, which spans no plane"):
        directions.plane_through(first, second, middle, names=("a", "b", "c"))
    with pytest.raises(ValueError, match="lie on one line"):
        directions.plane_through(first, first, second)


def test_different_parameters_are_named(rng):
    (point,) = points(rng, 1)
    with pytest.raises(ValueError, match="'a' and 'b' have different weights: only one of them has 'x'"):
        directions.line_between(point, point | {"x": np.zeros(3)}, ("a", "b"))
    other = point | {"conv/kernel": np.zeros((3, 3, 2, 5))}
    with pytest.raises(ValueError, match=r"shape \(3, 3, 2, 4\) in 'a' and \(3, 3, 2, 5\) in 'c'"):
        directions.plane_through(point, point, other, ("a", "b", "c"))


def test_a_trajectory_in_a_plane_is_found_whole(rng):
    end, one, two = points(rng, 3)
    places = rng.normal(size=(6, 2))
    snapshots = [
        {p: end[p] + a * (one[p] - end[p]) + b * (two[p] - end[p]) for p in end} for a, b in places
    ] + [end]
    plane = directions.trajectory_plane(snapshots)
    assert sum(plane.explained) == pytest.approx(1.0)
    assert plane.explained[0] >= plane.explained[1]
    for snapshot, place in zip(snapshots, plane.path, strict=True):
        np.testing.assert_allclose(plane.at(place)["conv/kernel"], snapshot["conv/kernel"], atol=1e-5)
    gram = [[np.vdot(a["conv/kernel"], b["conv/kernel"]) for a in plane.axes] for b in plane.axes]
    np.testing.assert_allclose(gram, np.eye(2), atol=1e-9)
    assert plane.marks == {"start": tuple(plane.path[0]), "end": (0.0, 0.0)}


def test_a_trajectorys_components_are_those_of_scikit_learn(rng):
    from sklearn.decomposition import PCA

    snapshots = points(rng, 7)
    plane = directions.trajectory_plane(snapshots)
    ways = np.stack([(s["conv/kernel"] - snapshots[-1]["conv/kernel"]).reshape(-1) for s in snapshots[:-1]])
    wanted = PCA(2).fit(ways)
    np.testing.assert_allclose(plane.explained, wanted.explained_variance_ratio_, rtol=1e-9)
    for axis, component in zip(plane.axes, wanted.components_, strict=True):
        assert abs(np.vdot(axis["conv/kernel"].reshape(-1), component)) == pytest.approx(1.0)


def test_too_short_a_trajectory_is_refused(rng):
    with pytest.raises(ValueError, match="at least 4 snapshots. Received: 3"):
        directions.trajectory_plane(points(rng, 3))
    first, second = points(rng, 2)
    line = directions.line_between(first, second)
    with pytest.raises(ValueError, match="the snapshots lie on one line"):
        directions.trajectory_plane([line.at((place,)) for place in (0.0, 0.0, 0.5, 0.5, 1.0)])


def test_ticks_hold_the_centre():
    assert directions.centred_ticks(5, 2.0).tolist() == [-2, -1, 0, 1, 2]
    for steps in (4, 1):
        with pytest.raises(ValueError, match=f"steps must be odd and at least 3.* Received: {steps}"):
            directions.centred_ticks(steps, 1.0)
    with pytest.raises(ValueError, match="span must lie in"):
        directions.centred_ticks(5, 0.0)


def test_ticks_around_values_reach_beyond_them():
    assert directions.ticks_around([0.0, 4.0, 1.0], 4, margin=0.5).tolist() == [
        -2.0,
        pytest.approx(2 / 3),
        pytest.approx(10 / 3),
        6.0,
    ]


def test_a_grid_has_every_pair():
    assert directions.grid([0, 1], [5, 6, 7]).tolist() == [[0, 5], [0, 6], [0, 7], [1, 5], [1, 6], [1, 7]]


def test_what_was_measured_of_the_data_does_not_move():
    normalise = keras.layers.Normalization(axis=(1, 2, 3), mean=None)
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), normalise, keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    outputs = directions.output_axes(model)
    for vectors in (False, True):
        (direction,) = directions.random_directions(weights_of(model), 1, vectors=vectors, outputs=outputs)
        assert [path.rsplit("/")[-1] for path in direction] == ["kernel", "bias"][: 1 + vectors]
