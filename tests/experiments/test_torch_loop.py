"""PyTorch's networks in the benchmark are ours: needs the extra `benchmark`."""

import keras
import numpy as np
import pytest

import keras_kd

torch = pytest.importorskip("torch", reason="pip install 'keras_kd[benchmark]'")


@pytest.mark.parametrize(
    "model",
    [
        lambda: keras_kd.cifar_resnet(14, (8, 8, 1), width=4),
        lambda: keras_kd.cifar_resnet(8, (16, 16, 3), width=4, shortcuts=False),
        lambda: keras_kd.wide_resnet(10, 2, (16, 16, 3)),
    ],
)
def test_the_networks_are_the_same_in_pytorch(model, rng):
    from experiments.benchmarks import torch_loop

    model = model()
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.path.endswith(("beta", "moving_mean")):
            weight.assign(rng.normal(size=weight.shape))
    images = rng.normal(size=(5, *model.input_shape[1:])).astype("float32")
    expected = keras.ops.convert_to_numpy(model(images, training=False))
    rebuilt = torch_loop.Rebuilt(model).eval()
    with torch.no_grad():
        found = rebuilt(torch.tensor(images).permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    trainable = sum(parameter.numel() for parameter in rebuilt.parameters())
    assert trainable == sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_a_layer_that_is_not_ours_is_named():
    from experiments.benchmarks import torch_loop

    image = keras.Input((4, 4, 1))
    model = keras.Model(image, keras.layers.UpSampling2D(name="up")(image))
    with pytest.raises(ValueError, match="cannot rebuild a layer of the type UpSampling2D. Received: 'up'"):
        torch_loop.Rebuilt(model)
