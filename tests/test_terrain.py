"""The landscape around networks that belong together."""

import numpy as np
import pytest
from conftest import mlp, same, trio, weights_of

import keras_kd
from keras_kd import landscape, subspaces, taps, terrain

OPTIONS = terrain.Options(steps=3, hessian_steps=1, eigenvalues=2, trace_samples=2)


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """A folder, networks, examples, and what was found."""
    rng = np.random.default_rng(0)
    networks = trio()
    images, labels = rng.normal(size=(24, 8, 8, 1)).astype("float32"), rng.integers(0, 4, 24)
    folder = tmp_path_factory.mktemp("terrain")
    start, end = (taps.weights_of(networks[label]) for label in ("plain", "plain + KD"))
    bent = {path: 1.1 * weight for path, weight in start.items()}
    ways = {"plain": [start, bent, subspaces.line_between(bent, end).at((0.7,)), end]}
    before = [weights_of(network) for network in networks.values()]
    found = terrain.look(networks, images, labels, OPTIONS, folder, ways=ways)
    assert all(same(b, weights_of(network)) for b, network in zip(before, networks.values(), strict=True))
    return folder, networks, (images, labels), found


def test_every_kind_of_plane_is_there(looked):
    _, networks, _, found = looked
    kinds = [(plane["kind"], plane["reader"]) for plane in found["planes"]]
    around = [("around", label) for label in networks]
    assert kinds == [*around, ("through", "residual"), ("through", "plain"), ("way", "plain")]
    assert [plane["batch_norm"] for plane in found["planes"]] == ["keep"] * 3 + ["estimate"] * 3


def test_the_middle_of_a_plane_is_the_network(looked):
    _, networks, examples, found = looked
    for plane, numbers, network in zip(found["planes"], found["networks"], networks.values(), strict=False):
        wanted = landscape.Height(network, *examples).at(taps.weights_of(network))
        assert plane["loss"][1][1] == pytest.approx(wanted[0], rel=1e-5)
        assert (numbers["loss"], numbers["accuracy"]) == pytest.approx(tuple(wanted[:2]), rel=1e-5)
        assert numbers["examples"] == 24


def test_twins_are_looked_at_along_the_same_directions(looked):
    _, networks, examples, found = looked
    for network, plane in zip(networks.values(), found["planes"], strict=False):
        axes = subspaces.random_directions(taps.weights_of(network), 2)
        point = subspaces.Subspace(taps.weights_of(network), axes).at((-1.0, 1.0))
        assert plane["loss"][0][2] == pytest.approx(
            landscape.Height(network, *examples).at(point)[0], rel=1e-3
        )


def test_lines_lie_between_twins_of_one_kind(looked):
    _, _, _, found = looked
    (line,) = found["lines"]
    assert line["between"] == ["plain", "plain + KD"]
    for each in landscape.BATCH_NORM:
        first, middle, last = line["loss"][each]
        assert line["barrier"][each] == pytest.approx(max(0.0, middle - (first + last) / 2), abs=1e-9)
    assert line["loss"]["keep"][0] == pytest.approx(found["networks"][1]["loss"], rel=1e-4)


def test_the_numbers_are_of_each_network(looked):
    _, _, _, found = looked
    for numbers in found["networks"]:
        assert numbers["spectrum"][0] == numbers["largest_eigenvalue"] >= numbers["spectrum"][1]
        hessian = numbers["hessian"]  # its middle is the network
        assert hessian["largest"][0] == pytest.approx(numbers["largest_eigenvalue"], rel=1e-2)
        assert numbers["hessian_ratio"] == pytest.approx(abs(hessian["smallest"][0] / hessian["largest"][0]))
        assert 0 <= numbers["not_convex"] <= 1


def test_what_is_there_is_not_measured_again(looked):
    folder, networks, examples, found = looked
    asked = []
    again = terrain.look(
        networks,
        *examples,
        OPTIONS,
        folder,
        watch=lambda title, done, total: asked.append((title, done == total)),
    )
    assert all(done for title, done in asked if not title.startswith("curvature"))
    assert again["planes"] == found["planes"][:5]


def test_a_survey_of_another_network_is_refused(looked):
    folder, networks, examples, _ = looked
    others = networks | {"residual": keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4)}
    with pytest.raises(ValueError, match="around-residual.npz holds another survey: .*origin was"):
        terrain.look(others, *examples, OPTIONS, folder)


def test_networks_that_are_no_twins_have_only_their_own_planes(data, tmp_path):
    x, y = data
    options = terrain.Options(steps=3, hessian_steps=0, eigenvalues=1, trace_samples=2)
    found = terrain.look({"a": mlp(units=3), "b": mlp(units=4)}, x, y, options, tmp_path)
    assert [plane["title"] for plane in found["planes"]] == ["around a", "around b"]
    assert found["lines"] == []
    assert [numbers["hessian_ratio"] for numbers in found["networks"]] == [None, None]


@pytest.mark.parametrize("name", ["steps", "hessian_steps"])
def test_the_centre_must_be_sampled(name):
    with pytest.raises(ValueError, match="steps must be odd and at least 3.* Received: 4"):
        terrain.Options(**{name: 4})


def test_twins_among_others_have_their_line(data, tmp_path):
    x, y = data
    options = terrain.Options(steps=3, hessian_steps=0, eigenvalues=1, trace_samples=2)
    networks = {
        label: keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=width, shortcuts=False)
        for label, width in (("teacher", 3), ("alone", 2), ("distilled", 2))
    }
    found = terrain.look(networks, x, y, options, tmp_path)
    assert [line["between"] for line in found["lines"]] == [["alone", "distilled"]]
    assert not [plane for plane in found["planes"] if plane["kind"] == "through"]
