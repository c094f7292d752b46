import numpy as np
from keras import ops
from PIL import Image

from keras_kd.data.augmentation import boxes
from keras_kd.data.augmentation.resized_crop import ResizedCrop

MEAN, STD = np.zeros(2, "float32"), np.ones(2, "float32")


def by_pillow(image, top, bottom, left, right):
    """Pillow in float32, channel by channel; it reads beyond the box, to the image's edge."""
    height, width, _ = image.shape
    box = (left, top, width - right, height - bottom)
    channels = [
        Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR, box=box)
        for channel in np.moveaxis(image.astype("float32"), -1, 0)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1) / 255


def test_a_rectangle_is_resized_as_pillow_does(rng):
    images = rng.integers(0, 256, (30, 9, 14, 2)).astype(np.uint8)
    params = ResizedCrop().sample(rng, 30, (9, 14, 2))
    assert all((values >= 0).all() for values in params.values())
    found = ops.convert_to_numpy(ResizedCrop().apply(images, params, MEAN, STD))
    for image, each, *cut in zip(images, found, *params.values(), strict=True):
        np.testing.assert_allclose(each, by_pillow(image, *cut), atol=1e-5)


def test_rectangles_have_the_areas_and_shapes_that_they_should(rng):
    height, width = 100, 160
    top, rows, left, columns = boxes.draw(rng, 20_000, (height, width, 3), (0.1, 0.3), 0.5)
    area, shape = rows * columns / (height * width), columns / rows
    assert 0.095 < area.min() < 0.11
    assert 0.29 < area.max() < 0.31
    # Uniform in the area, and symmetric in the logarithm of the shape where every rectangle fits.
    np.testing.assert_allclose(area.mean(), 0.2, atol=0.005)
    assert 0.49 < shape.min() < 0.51
    assert 1.95 < shape.max() < 2.05
    np.testing.assert_allclose(np.log(shape).mean(), 0, atol=0.02)
    assert (top.min(), left.min()) == (0, 0)
    assert ((top + rows).max(), (left + columns).max()) == (height, width)


def test_an_image_of_one_pixel_stays():
    image = np.full((1, 1, 1, 2), 51, np.uint8)
    params = ResizedCrop().sample(np.random.default_rng(0), 1, (1, 1, 2))
    found = ops.convert_to_numpy(ResizedCrop().apply(image, params, MEAN, STD))
    np.testing.assert_allclose(found, np.full((1, 1, 1, 2), 0.2), atol=1e-6)
