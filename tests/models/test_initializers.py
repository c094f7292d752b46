import keras
import numpy as np
import pytest
from keras import ops

import keras_kd
from keras_kd.models import initializers


def kernel(initializer, shape):
    return ops.convert_to_numpy(initializer(shape)).astype(np.float64)


@pytest.mark.parametrize("shape", [(3, 3, 4, 4), (3, 3, 4, 7), (1, 1, 7, 4)])
def test_delta_orthogonal_is_an_orthogonal_matrix_at_the_middle_tap(shape):
    found = kernel(initializers.DeltaOrthogonal(seed=1), shape)
    middle = found[shape[0] // 2, shape[1] // 2]
    small = min(middle.shape)
    product = middle @ middle.T if middle.shape[0] == small else middle.T @ middle
    np.testing.assert_allclose(product, np.eye(small), atol=1e-5)
    assert np.count_nonzero(found) == np.count_nonzero(middle)


def test_a_convolution_of_delta_orthogonal_keeps_norms(rng):
    images = rng.normal(size=(2, 5, 5, 4)).astype("float32")
    layer = keras.layers.Conv2D(
        6, 3, padding="same", use_bias=False, kernel_initializer=initializers.DeltaOrthogonal(0)
    )
    found = ops.convert_to_numpy(layer(images))
    np.testing.assert_allclose(np.sum(found**2, axis=-1), np.sum(images**2, axis=-1), rtol=1e-4)


def test_dirac_hands_on_its_input_but_for_the_noise(rng):
    images = rng.normal(size=(2, 5, 5, 4)).astype("float32")
    layer = keras.layers.Conv2D(6, 3, padding="same", kernel_initializer=initializers.Dirac(noise=0.0))
    found = ops.convert_to_numpy(layer(images))
    np.testing.assert_allclose(found[..., :4], images, atol=1e-6)
    assert not found[..., 4:].any()
    noise = kernel(initializers.Dirac(noise=0.5, seed=3), (3, 3, 64, 64))
    noise[1, 1] -= np.eye(64)
    assert np.std(noise) == pytest.approx(0.5 * np.sqrt(2 / (9 * 64)), rel=0.05)


@pytest.mark.parametrize("name", initializers.INITIALIZERS)
@pytest.mark.parametrize(
    "build",
    [
        lambda **options: keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, shortcuts=False, **options),
        lambda **options: keras_kd.imagenet_resnet(18, (8, 8, 3), 4, width=4, stem="cifar", **options),
        lambda **options: keras_kd.wide_resnet(10, 1, (8, 8, 3), 4, **options),
    ],
)
def test_builders_begin_blocks_so(build, name):
    keras.utils.set_random_seed(0)
    network = build(initializer=name)
    found = network.get_layer("stage1_block1_conv2").kernel_initializer
    assert type(found) is initializers.INITIALIZERS[name]
    assert keras.models.clone_model(network).count_params() == network.count_params()


def test_an_unknown_one_is_named():
    with pytest.raises(ValueError, match=r"one of he, delta_orthogonal, dirac.*'orthogonal'"):
        keras_kd.cifar_resnet(8, initializer="orthogonal")
