"""The landscape around networks that belong together."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.analysis import landscape
from keras_kd.analysis.landscape import directions, surface
from keras_kd.analysis.trainings import Training
from keras_kd.models import weights
from tests.support.networks import mlp, same, shaken, trio, weights_of

QUICK = landscape.LandscapeConfig(steps=3, hessian_steps=0, eigenvalues=1, trace_samples=2)
OPTIONS = landscape.LandscapeConfig(steps=3, hessian_steps=1, eigenvalues=2, trace_samples=2)


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """A folder, networks, examples, and what was found."""
    rng = np.random.default_rng(0)
    networks = trio()
    images, labels = rng.normal(size=(24, 8, 8, 1)).astype("float32"), rng.integers(0, 4, 24)
    folder = tmp_path_factory.mktemp("landscape")
    start, end = (weights.weights_of(networks[label]) for label in ("plain", "plain + KD"))
    bent = {path: 1.1 * weight for path, weight in start.items()}
    points = [start, bent, directions.line_between(bent, end).at((0.7,)), end]
    ways = {"plain": Training(dict(enumerate(points)), networks["plain"])}
    before = [weights_of(network) for network in networks.values()]
    found = landscape.analyze(networks, images, labels, OPTIONS, folder, trainings=ways)
    assert all(same(b, weights_of(network)) for b, network in zip(before, networks.values(), strict=True))
    return folder, networks, (images, labels), found


@pytest.mark.slow
def test_every_kind_of_plane_is_there(looked):
    _, networks, _, found = looked
    kinds = [(plane.kind, plane.reader) for plane in found.planes]
    around = [("around", label) for label in networks]
    assert kinds == [*around, ("through", "residual"), ("through", "plain"), ("trajectory", "plain")]
    assert [plane.batch_norm for plane in found.planes] == ["keep"] * 3 + ["estimate"] * 3


@pytest.mark.slow
def test_the_middle_of_a_plane_is_the_network(looked):
    _, networks, examples, found = looked
    for plane, numbers, network in zip(found.planes, found.networks, networks.values(), strict=False):
        wanted = surface.LossSurface(network, *examples).at(weights.weights_of(network))
        assert plane.loss[1][1] == pytest.approx(wanted[0], rel=1e-5)
        assert (numbers.loss, numbers.accuracy) == pytest.approx(tuple(wanted[:2]), rel=1e-5)
        assert numbers.examples == 24


@pytest.mark.slow
def test_twins_are_looked_at_along_the_same_directions(looked):
    _, networks, examples, found = looked
    for network, plane in zip(networks.values(), found.planes, strict=False):
        axes = directions.random_directions(weights.weights_of(network), 2)
        point = directions.Subspace(weights.weights_of(network), axes).at((-1.0, 1.0))
        assert plane.loss[0][2] == pytest.approx(
            surface.LossSurface(network, *examples).at(point)[0], rel=1e-3
        )


@pytest.mark.slow
def test_lines_lie_between_twins_of_one_kind(looked):
    _, _, _, found = looked
    (line,) = found.lines
    assert line.between == ["plain", "plain + KD"]
    for each in surface.BATCH_NORM:
        first, middle, last = line.loss[each]
        assert line.barrier[each] == pytest.approx(max(0.0, middle - (first + last) / 2), abs=1e-9)
    assert line.loss["keep"][0] == pytest.approx(found.networks[1].loss, rel=1e-4)


@pytest.mark.slow
def test_the_numbers_are_of_each_network(looked):
    _, _, _, found = looked
    for numbers in found.networks:
        assert numbers.spectrum[0] == numbers.largest_eigenvalue >= numbers.spectrum[1]
        hessian = numbers.hessian  # its middle is the network
        assert hessian.largest[0] == pytest.approx(numbers.largest_eigenvalue, rel=1e-2)
        assert numbers.hessian_ratio == pytest.approx(abs(hessian.smallest[0] / hessian.largest[0]))
        assert 0 <= numbers.not_convex <= 1
        assert len(numbers.curvatures) == OPTIONS.trace_samples
        assert numbers.curvature == pytest.approx(np.mean(numbers.curvatures))


@pytest.mark.slow
def test_what_is_there_is_not_measured_again(looked):
    folder, networks, examples, found = looked
    asked = []
    again = landscape.analyze(
        networks,
        *examples,
        OPTIONS,
        folder,
        on_progress=lambda title, done, total: asked.append((title, done == total)),
    )
    assert asked
    assert all(done for _, done in asked)
    assert again.planes == found.planes[:5]
    assert again.networks == found.networks


@pytest.mark.slow
def test_a_survey_of_another_network_is_refused(looked):
    folder, networks, examples, _ = looked
    others = networks | {"residual": keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4)}
    with pytest.raises(ValueError, match="around-residual.npz was made of something else: .*origin was"):
        landscape.analyze(others, *examples, OPTIONS, folder)


def test_networks_that_are_no_twins_have_only_their_own_planes(data, tmp_path):
    x, y = data
    found = landscape.analyze({"a": mlp(units=3), "b": mlp(units=4)}, x, y, QUICK, tmp_path)
    assert [plane.title for plane in found.planes] == ["around a", "around b"]
    assert found.lines == []
    (reason,) = found.left_out
    assert reason.startswith("lines and planes between a and b: their weights are not ")
    assert [numbers.hessian_ratio for numbers in found.networks] == [None, None]


def test_labels_that_differ_in_case_or_other_letters_have_files_of_their_own(data, tmp_path):
    x, y = data
    networks = {label: mlp(units=3 + place) for place, label in enumerate(("net", "Net", "Δ", "Ω"))}
    first, again = (landscape.analyze(networks, x, y, QUICK, tmp_path) for _ in range(2))
    assert [plane.title for plane in first.planes] == [f"around {label}" for label in networks]
    assert len({str(plane.loss) for plane in first.planes}) == 4
    assert again.planes == first.planes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 4}, "steps must be odd and at least 3.* Received: 4"),
        ({"hessian_steps": 2}, "hessian_steps must be odd.* or 0. Received: 2"),
        ({"hessian_steps": -1}, "hessian_steps must be a whole number from 0"),
        ({"step_sizes": ()}, r"one of step_sizes at least. Received: \(\)"),
        ({"step_sizes": (0.1, 0.0)}, "step_sizes must lie in"),
        ({"trace_samples": 1}, "trace_samples must be a whole number from 2 .*trace_samples=1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        landscape.LandscapeConfig(**options)


def twin(seed):
    """A small network with random weights, whose names do not depend on what was built before."""
    layers = [
        keras.layers.Flatten(),
        keras.layers.Dense(3, "relu", name="one"),
        keras.layers.Dense(4, name="two"),
    ]
    return shaken(keras.Sequential([keras.Input((8, 8, 1)), *layers], name="twin"), seed)


@pytest.mark.slow
def test_networks_that_span_no_plane_are_told(data, tmp_path):
    x, y = data
    networks = {"residual": twin(0), "plain": twin(1)}
    networks["plain + KD"] = networks["plain"]
    point = weights.weights_of(networks["plain"])
    stopped = {
        "plain": Training({0: point, 1: point}, networks["plain"]),
        "residual": Training({}, networks["residual"]),
    }
    found = landscape.analyze(networks, x, y, QUICK, tmp_path, trainings=stopped)
    assert {plane.kind for plane in found.planes} == {"around"}
    assert found.left_out == [
        "the plane through residual, plain, plain + KD: they lie on one line, which spans no plane",
        "the trajectory of plain: of it 2 snapshots were kept, and a plane takes 4",
        "the trajectory of residual: of it 0 snapshots were kept, and a plane takes 4",
    ]
    assert found.lines[-1].barrier["keep"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.slow
def test_of_four_twins_the_plane_holds_the_last_three(data, tmp_path):
    x, y = data
    networks = {label: twin(seed) for seed, label in enumerate("abcd")}
    found = landscape.analyze(networks, x, y, QUICK, tmp_path)
    through = [plane for plane in found.planes if plane.kind == "through"]
    assert [list(plane.marks) for plane in through] == [["b", "c", "d"]]
    assert found.left_out == ["a: not in the plane through b, c, d, which three span"]
    assert len(found.lines) == 6


def test_a_frozen_network_has_a_surface_and_no_curvature(data, tmp_path):
    x, y = data
    frozen = mlp(units=4)
    frozen.trainable = False
    options = dataclasses.replace(QUICK, hessian_steps=1)
    found = landscape.analyze({"a": mlp(units=3), "b": frozen}, x, y, options, tmp_path)
    assert len(found.networks[0].spectrum) == options.eigenvalues
    assert found.networks[1].spectrum is None
    assert "largest_eigenvalue" in found.networks[0].to_json()
    assert "largest_eigenvalue" not in found.networks[1].to_json()
    assert found.left_out[1:] == ["the curvature at b: all of its weights are frozen (trainable=False)"]


def test_holes_of_lines_are_counted(data, tmp_path):
    x, y = data
    networks = {label: twin(seed) for seed, label in enumerate("ab")}
    for weight in networks["b"].weights:
        weight.assign(1e20 * weight)
    found = landscape.analyze(networks, x, y, QUICK, tmp_path)
    (line,) = found.lines
    assert line.holes["keep"] > 0
    assert line.barrier["keep"] is None


@pytest.mark.slow
def test_twins_among_others_have_their_line(data, tmp_path):
    x, y = data
    networks = {"teacher": mlp(units=5), "alone": twin(0), "distilled": twin(1)}
    found = landscape.analyze(networks, x, y, QUICK, tmp_path)
    assert [line.between for line in found.lines] == [["alone", "distilled"]]
    assert not [plane for plane in found.planes if plane.kind == "through"]


def test_a_signal_between_two_products_ends_the_work(data, tmp_path):
    x, y = data
    networks = {"a": twin(0)}
    wanted = landscape.analyze(networks, x, y, QUICK, tmp_path)
    (tmp_path / "spectrum-at-a.npz").unlink()

    def on_progress(title, done, total):
        asked.append(title)
        if asked.count("spectrum at a") == 4:
            raise KeyboardInterrupt

    asked = []
    with pytest.raises(KeyboardInterrupt):
        landscape.analyze(networks, x, y, QUICK, tmp_path, on_progress=on_progress)
    assert "trace at a" not in asked
    found = landscape.analyze(networks, x, y, QUICK, tmp_path)
    assert found.networks[0].spectrum == pytest.approx(wanted.networks[0].spectrum)
