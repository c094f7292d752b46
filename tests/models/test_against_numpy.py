"""Networks with gates and branches, and what is left of them, against the same in NumPy float64."""

import numpy as np
import pytest
from keras import ops

import keras_kd
from keras_kd.models import branches, fading
from tests.support.networks import shaken
from tests.support.numpy_resnet import NumpyResNet

STEPS = 10  # of a linear gate

NETWORKS = {
    "basic": lambda **options: keras_kd.cifar_resnet(14, (8, 8, 3), 4, width=4, **options),
    "preactivation": lambda **options: keras_kd.wide_resnet(16, 1, (8, 8, 3), 4, **options),
}


@pytest.fixture
def images(rng):
    return rng.normal(size=(3, 8, 8, 3)).astype("float32")


def agree(network, images, expected):
    found = ops.convert_to_numpy(network(images, training=False))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def plain(kind):
    return shaken(NETWORKS[kind](shortcuts=False))


def expected(kind, network, images, gate=0.0):
    return getattr(NumpyResNet(network, (2, 2, 2), gate), kind)(images.astype(np.float64))


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_without_shortcuts(kind, images):
    network = plain(kind)
    agree(network, images, expected(kind, network, images))


def test_a_network_with_shortcuts(images):
    network = shaken(NETWORKS["basic"]())
    agree(network, images, expected("basic", network, images, gate=1.0))


@pytest.mark.parametrize("done", [0, 6, STEPS])
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_fading_network_at_any_gate(kind, done, images):
    network = fading.with_fading_shortcuts(plain(kind), [(0, STEPS)] * 6, "linear")
    for shortcut in fading.fading_shortcuts(network):
        shortcut.step.assign(done)
    agree(network, images, expected(kind, network, images, gate=1 - done / STEPS))


@pytest.mark.parametrize("pointwise", [False, True])
@pytest.mark.parametrize("kind", NETWORKS)
def test_branches_and_what_they_merge_into(kind, pointwise, images):
    left = plain(kind)
    branched = shaken(branches.with_branches(left, pointwise), seed=2)
    wanted = expected(kind, branched, images)
    assert np.abs(wanted - expected(kind, left, images)).max() > 0.01
    agree(branched, images, wanted)
    branches.merge_branches(branched, left)
    agree(left, images, wanted)
    np.testing.assert_allclose(expected(kind, left, images), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_left_of_a_residual_network(kind, images):
    network = shaken(NETWORKS[kind]())
    agree(fading.remove_shortcuts(network), images, expected(kind, network, images))
