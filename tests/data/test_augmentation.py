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


EVERY = (*augmentation.AUGMENTATIONS, "crop+flip", "resized_crop+color_jitter+random_erasing+randaugment")


@pytest.mark.parametrize("spec", EVERY)
def test_neutral_parameters_only_normalise(rng, spec):
    images = rng.integers(0, 256, (6, 11, 13, 3)).astype(np.uint8)
    mean, std = np.array([0.2, 0.5, 0.6], "float32"), np.array([0.5, 0.25, 0.3], "float32")
    drawn = augmentation.parse(spec)
    found = drawn.apply(images, drawn.neutral(6), mean, std)
    expected = augmentation.normalise(images, mean, std)
    # What is interpolated is rounded, as the backend's compiler likes.
    tolerance = 1e-5 if "resized" in spec else 0
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), ops.convert_to_numpy(expected), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("spec", EVERY)
def test_parameters_are_as_the_fields_say_and_a_function_of_the_generator(spec):
    drawn = augmentation.parse(spec)
    params, again = (drawn.sample(np.random.default_rng(3), 50, (8, 12, 3)) for _ in range(2))
    assert {field: str(values.dtype) for field, values in params.items()} == drawn.fields
    for field, values in params.items():
        assert values.shape == (50,)
        np.testing.assert_array_equal(values, again[field])


def test_a_sum_does_one_part_after_the_other(rng):
    images = rng.integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    mean, std = np.full(3, 0.5, "float32"), np.full(3, 0.25, "float32")
    whole, both = augmentation.parse("crop_flip"), augmentation.parse("crop+flip")
    expected, found = (each.sample(np.random.default_rng(0), 50, (8, 8, 3)) for each in (whole, both))
    assert list(found) == ["rows", "columns", "crop_mirrored", "flip_mirrored"]
    np.testing.assert_array_equal(found["flip_mirrored"], expected["mirrored"])
    np.testing.assert_allclose(
        ops.convert_to_numpy(both.apply(images, found, mean, std)),
        ops.convert_to_numpy(whole.apply(images, expected, mean, std)),
        atol=1e-6,
    )


def test_a_spec_says_what_differs_from_the_source_and_round_trips():
    text = "resized_crop:scale=0.5:ratio=0.75+flip+randaugment:layers=2:magnitude=5"
    drawn = augmentation.parse(text)
    assert drawn.spec == "resized_crop:scale=0.5+flip+randaugment:magnitude=5.0"
    assert augmentation.parse(drawn.spec) == drawn
    assert augmentation.parse("auto+flip", auto="crop").spec == "crop+flip"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cutout", "unknown augmentation 'cutout'"),
        ("flop", "did you mean 'flip'"),
        ("", "unknown augmentation ''"),
        ("crop+", r"unknown augmentation 'crop\+'"),
        ("flip+crop+flip", "augmentation must hold each value once.*'flip' twice"),
        ("flip:often=1", "has no option 'often': it has none"),
        ("crop:rows", "NAME:OPTION=VALUE"),
        ("resized_crop:scale=0", r"scale must lie in \(0, 1\]. Received: scale=0.0"),
        ("resized_crop:scale=small", r"scale must lie in \(0, 1\]"),
        ("color_jitter:contrast=2", r"contrast must lie in \[0, 1\]"),
        ("random_erasing:smallest=0.5", "smallest area must not be above the largest"),
        ("mixup+flip", r"mixup comes after what moves or colours images. Received: 'mixup\+flip'"),
        ("mixup+mixup", "augmentation must hold each value once"),
        ("cutmix:alpha=0", r"alpha must lie in \(0, 1000\]"),
        ("randaugment:layers=2.5", "layers must be a whole number from 1 to 8"),
        ("randaugment:magnitude=31", r"magnitude must lie in \[0, 30\]"),
    ],
)
def test_what_is_no_augmentation_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        augmentation.parse(spec)
