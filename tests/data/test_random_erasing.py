import numpy as np
from keras import ops

from keras_kd.data.augmentation.random_erasing import RandomErasing

MEAN, STD = np.array([0.2, 0.5], "float32"), np.array([0.5, 0.25], "float32")


def test_a_rectangle_of_some_images_is_the_mean_image(rng):
    images = rng.integers(0, 256, (40, 10, 12, 2)).astype(np.uint8)
    drawn = RandomErasing()
    params = drawn.sample(rng, 40, (10, 12, 2))
    found = ops.convert_to_numpy(drawn.apply(images, params, MEAN, STD))
    for image, each, top, rows, left, columns in zip(images, found, *params.values(), strict=True):
        expected = (image / 255 - MEAN) / STD
        expected[top : top + rows, left : left + columns] = 0
        np.testing.assert_allclose(each, expected, atol=1e-5)


def test_the_share_and_the_area_of_what_is_erased_are_the_options():
    drawn = RandomErasing(probability=0.25, smallest=0.1, largest=0.2)
    params = drawn.sample(np.random.default_rng(0), 20_000, (50, 50, 3))
    erased = params["rows"] > 0
    np.testing.assert_allclose(erased.mean(), 0.25, atol=0.01)
    area = (params["rows"] * params["columns"])[erased] / 2500
    assert area.min() > 0.09
    assert area.max() < 0.22
