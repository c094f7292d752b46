import numpy as np
import pytest
from keras import ops
from PIL import Image, ImageEnhance, ImageOps

from keras_kd.data.augmentation import operations
from keras_kd.data.augmentation.randaugment import OPERATIONS, RandAugment

NAMES = list(OPERATIONS)
SHAPE = (6, 11, 13, 3)  # one for all, as JAX compiles for each
FILL = np.array([0.25, 0.5, 0.75], "float32")

PILLOW = {
    "identity": lambda image, level: image,
    "brightness": lambda image, level: ImageEnhance.Brightness(image).enhance(1 + level),
    "color": lambda image, level: ImageEnhance.Color(image).enhance(1 + level),
    "contrast": lambda image, level: ImageEnhance.Contrast(image).enhance(1 + level),
    "sharpness": lambda image, level: ImageEnhance.Sharpness(image).enhance(1 + level),
    "posterize": lambda image, level: ImageOps.posterize(image, 8 - round(level)),
    "solarize": lambda image, level: ImageOps.solarize(image, round(255 * (1 - level))),
    "autocontrast": lambda image, level: ImageOps.autocontrast(image),
    "equalize": lambda image, level: ImageOps.equalize(image),
}


def done(images, name, level):
    """0 to 255, of an operation at one level for all."""
    chosen = np.full(len(images), NAMES.index(name), np.int32)
    levels = np.full(len(images), level, np.float32)
    return 255 * ops.convert_to_numpy(
        operations.apply(images.astype("float32") / 255, NAMES, chosen, levels, FILL)
    )


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize("share", [-0.4, 1.0])
def test_colours_are_as_pillow_has_them_but_for_its_rounding(rng, name, share):
    images = rng.integers(40, 200, SHAPE).astype(np.uint8)
    images[0] = 90  # flat
    strongest, signed = OPERATIONS[name]
    level = (share if signed else abs(share)) * strongest
    expected = [np.asarray(PILLOW[name](Image.fromarray(image), level)) for image in images]
    np.testing.assert_allclose(done(images, name, level), np.stack(expected), atol=1.5)


def moved_by_hand(image, matrix, offset):
    """Bilinear in float64, of the place `matrix @ (x, y) + offset` about the centre."""
    height, width, _ = image.shape
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    result = np.empty(image.shape)
    for row in range(height):
        for column in range(width):
            x, y = matrix @ (np.array([column, row]) - centre) + offset + centre
            if not (-0.5 < x < width - 0.5 and -0.5 < y < height - 0.5):
                result[row, column] = 255 * FILL
                continue
            x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
            left, top = int(x), int(y)
            weights = {(top, left): (1 - x % 1) * (1 - y % 1), (top, left + 1): x % 1 * (1 - y % 1)}
            weights |= {(top + 1, left): (1 - x % 1) * (y % 1), (top + 1, left + 1): (x % 1) * (y % 1)}
            result[row, column] = sum(share * image[at] for at, share in weights.items() if share)
    return result


@pytest.mark.parametrize(
    ("name", "level", "matrix", "offset"),
    [
        ("shear_x", 0.3, [[1, 0.3], [0, 1]], [0, 0]),
        ("shear_y", -0.2, [[1, 0], [-0.2, 1]], [0, 0]),
        ("translate_x", 0.25, np.eye(2), [-0.25 * 13, 0]),
        ("translate_y", -0.4, np.eye(2), [0, 0.4 * 11]),
        ("rotate", np.pi / 2, [[0, 1], [-1, 0]], [0, 0]),
        ("rotate", 0.4, [[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]], [0, 0]),
    ],
)
def test_images_are_moved_as_by_hand(rng, name, level, matrix, offset):
    images = rng.integers(0, 256, SHAPE).astype(np.uint8)
    expected = moved_by_hand(images[3], np.array(matrix), np.array(offset))
    np.testing.assert_allclose(done(images, name, level)[3], expected, atol=0.02)


def test_each_example_has_its_own_operation(rng):
    images = rng.integers(0, 256, SHAPE).astype(np.uint8)
    names = ("identity", "rotate", "equalize", "sharpness", "translate_x", "solarize")
    chosen = np.array([NAMES.index(name) for name in names], np.int32)
    levels = np.full(len(names), 0.3, np.float32)
    pixels = images.astype("float32") / 255
    together = 255 * ops.convert_to_numpy(operations.apply(pixels, NAMES, chosen, levels, FILL))
    for place, name in enumerate(names):
        np.testing.assert_allclose(together[place], done(images, name, 0.3)[place], atol=1e-4)


def test_operations_are_drawn_alike_often_and_as_strong_as_the_magnitude_says():
    params = RandAugment(layers=1, magnitude=15).sample(np.random.default_rng(0), 28_000, (8, 8, 3))
    chosen, level = params["operation_1"], params["level_1"]
    np.testing.assert_allclose(np.bincount(chosen), 2000, atol=200)
    for place, (strongest, signed) in enumerate(OPERATIONS.values()):
        half = np.float32(strongest / 2)
        assert set(level[chosen == place].tolist()) == ({half, -half} if signed else {half})
