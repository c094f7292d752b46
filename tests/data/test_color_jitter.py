import numpy as np
import pytest
from keras import ops

from keras_kd.data.augmentation.color_jitter import ColorJitter

GREY = np.array([0.2989, 0.587, 0.114])


def by_hand(pixels, brightness, contrast, saturation, grey_of):
    pixels = np.clip(pixels * (1 + brightness), 0, 1)
    pixels = np.clip((1 + contrast) * pixels - contrast * grey_of(pixels).mean(), 0, 1)
    return np.clip((1 + saturation) * pixels - saturation * grey_of(pixels)[..., None], 0, 1)


@pytest.mark.parametrize(
    ("channels", "grey_of"), [(3, lambda pixels: pixels @ GREY), (1, lambda pixels: pixels.mean(-1))]
)
def test_colours_change_as_by_hand(rng, channels, grey_of):
    images = rng.integers(0, 256, (20, 5, 4, channels)).astype(np.uint8)
    drawn = ColorJitter(brightness=0.9, contrast=0.8)
    params = drawn.sample(rng, 20, (5, 4, channels))
    assert np.abs(params["brightness"]).max() > 0.5 > np.abs(params["saturation"]).max()
    mean, std = np.zeros(channels, "float32"), np.ones(channels, "float32")
    found = ops.convert_to_numpy(drawn.apply(images, params, mean, std))
    for image, each, *factors in zip(images, found, *params.values(), strict=True):
        np.testing.assert_allclose(each, by_hand(image / 255, *factors, grey_of), atol=1e-5)
