import numpy as np
import pytest
from keras import ops

from keras_kd.data import augmentation

MEAN, STD = np.array([0.2, 0.5], "float32"), np.array([0.5, 0.25], "float32")


def by_hand(image, row, column, mirrored):
    """A window that lies `row` below and `column` right of the image; then mirrored."""
    height, width, channels = image.shape
    result = np.zeros((height, width, channels))
    for y in range(height):
        for x in range(width):
            across = width - 1 - x if mirrored else x
            source = (y + row, across + column)
            if 0 <= source[0] < height and 0 <= source[1] < width:
                result[y, x] = (image[source] / 255 - MEAN) / STD
    return result


@pytest.mark.parametrize("mirrored", [0, 1])
def test_images_move_as_by_hand(rng, mirrored):
    images = rng.integers(0, 256, (25, 6, 4, 2)).astype(np.uint8)
    rows, columns = (values.ravel().astype(np.int32) for values in np.mgrid[-2:3, -2:3])
    mirrors = np.full(25, mirrored, np.int32)
    params = {"rows": rows, "columns": columns, "mirrored": mirrors}
    moved = augmentation.CropFlip().apply(images, params, MEAN, STD)
    assert ops.convert_to_numpy(moved).dtype == np.float32
    for found, *arguments in zip(ops.convert_to_numpy(moved), images, rows, columns, mirrors, strict=True):
        np.testing.assert_allclose(found, by_hand(*arguments), atol=1e-5)


def test_normalised_images_have_the_moments_that_they_should(rng):
    images = rng.integers(0, 256, (50, 8, 8, 2)).astype(np.uint8)
    mean, std = ((images / 255).mean((0, 1, 2)), (images / 255).std((0, 1, 2)))
    found = ops.convert_to_numpy(augmentation.normalise(images, mean, std))
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((0, 1, 2)), 1, atol=1e-5)


@pytest.mark.parametrize("name", augmentation.AUGMENTATIONS)
def test_neutral_parameters_only_normalise(rng, name):
    images = rng.integers(0, 256, (5, 6, 4, 2)).astype(np.uint8)
    drawn = augmentation.AUGMENTATIONS[name]()
    found = drawn.apply(images, drawn.neutral(5), MEAN, STD)
    expected = augmentation.normalise(images, MEAN, STD)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))
