"""Images as a person sees them, against arrays that were written."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_kd.data import image_decoding
from keras_kd.data.lazy_images import BadImageError

# Four colours in the corners tell how an image lies; flat parts survive JPEG.
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def corners():
    """uint8 `[16, 24, 3]`: red and green above blue and white."""
    image = np.zeros((16, 24, 3), np.uint8)
    image[:8, :12], image[:8, 12:], image[8:, :12], image[8:, 12:] = RED, GREEN, BLUE, WHITE
    return image


def assert_looks_like(found, expected, tolerance=0):
    assert (found.dtype, found.shape) == (np.uint8, expected.shape)
    assert np.abs(found.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.gif", {}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.JPG", {"quality": 95, "subsampling": 0}, 8),
    ],
)
def test_formats(tmp_path, corners, name, options, tolerance):
    Image.fromarray(corners).save(tmp_path / name, **options)
    assert_looks_like(image_decoding.read(tmp_path / name), corners, tolerance)


# Tag 0x0112 of EXIF and what a camera did to the picture that it stored so.
STORED_AS = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED_AS)
def test_a_camera_that_was_turned(tmp_path, corners, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED_AS[orientation](corners)))
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    assert_looks_like(image_decoding.read(tmp_path / "a.jpg"), corners, 8)


def test_a_whole_image_becomes_the_mean_of_what_each_pixel_covers(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    expected = image.reshape(8, 2, 8, 3, 3).mean(axis=(1, 3))
    assert_looks_like(image_decoding.read(tmp_path / "a.png", 8, "whole"), expected, 0.51)
    square = image[:, :16]
    Image.fromarray(square).save(tmp_path / "a.png")
    assert_looks_like(image_decoding.read(tmp_path / "a.png", 16, "whole"), square)
    larger = image_decoding.read(tmp_path / "a.png", 32, "whole")
    assert_looks_like(larger, square.repeat(2, axis=0).repeat(2, axis=1))


def test_grey_palette_and_sixteen_bits(tmp_path, corners):
    grey = corners[..., 0]
    shown = np.repeat(grey[..., None], 3, axis=-1)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(grey).save(tmp_path / name, quality=95)
        assert_looks_like(image_decoding.read(tmp_path / name), shown, 8 if name == "a.jpg" else 0)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    assert_looks_like(image_decoding.read(tmp_path / "16.png"), shown)
    Image.fromarray(grey > 0).save(tmp_path / "1.png")
    assert_looks_like(image_decoding.read(tmp_path / "1.png"), shown)
    Image.fromarray(corners).quantize(8).save(tmp_path / "p.png")
    assert_looks_like(image_decoding.read(tmp_path / "p.png"), corners)


def test_inks(tmp_path, corners):
    """CMYK as printers' programs write it: each ink is what its colour lacks."""
    inks = np.concatenate([255 - corners, np.zeros_like(corners[..., :1])], axis=-1)
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.jpg", quality=95, subsampling=0)
    assert_looks_like(image_decoding.read(tmp_path / "a.jpg"), corners, 8)


def test_what_is_transparent_is_white(tmp_path, corners):
    alpha = np.full((16, 24, 1), 255, np.uint8)
    alpha[:8, :12] = 0
    expected = corners.copy()
    expected[:8, :12] = 255
    Image.fromarray(np.concatenate([corners, alpha], axis=-1)).save(tmp_path / "a.png")
    assert_looks_like(image_decoding.read(tmp_path / "a.png"), expected)
    palette = Image.fromarray(corners).quantize(8)
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    assert_looks_like(image_decoding.read(tmp_path / "p.png"), expected)


def test_the_first_frame_of_an_animation(tmp_path, corners):
    frames = [Image.fromarray(image) for image in (corners, corners[::-1])]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert_looks_like(image_decoding.read(tmp_path / "a.gif"), corners)


def test_a_size_shows_the_middle(tmp_path):
    """Of 64x48 the square of 42x42 around the middle, each pixel the mean of what it covers."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[3:45, 11:53] = 200
    Image.fromarray(image).save(tmp_path / "a.png")
    found = image_decoding.read(tmp_path / "a.png", 14)
    assert found.shape == (14, 14, 3)
    assert (found[1:-1, 1:-1] == 200).all()  # the outermost blend with what lies beside
    assert (image_decoding.read(tmp_path / "a.png", 100)[5:-5, 5:-5] == 200).all()
    image[3:45, 11:32] = 100
    Image.fromarray(image).save(tmp_path / "b.png")
    halves = image_decoding.read(tmp_path / "b.png", 14)[:, :, 0].astype(int)
    np.testing.assert_array_equal(halves[1:-1, [1, 5, 8, 12]], [[100, 100, 200, 200]] * 12)


def test_an_image_of_the_size_stays_as_it_is(tmp_path, rng):
    image = rng.integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    assert_looks_like(image_decoding.read(tmp_path / "a.png", 16), image)


def test_a_large_photograph_is_decoded_at_a_fraction_of_its_size(tmp_path, rng):
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
    coarse.resize((1024, 768), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    whole = image_decoding.read(tmp_path / "a.jpg")
    whole = Image.fromarray(whole).resize((32, 32), Image.Resampling.BILINEAR, (176, 48, 848, 720))
    found = image_decoding.read(tmp_path / "a.jpg", 32)
    assert np.abs(found.astype(int) - np.asarray(whole, int)).mean() < 2


def png(width, height):
    """A grey PNG whose header says this size; only a small one is whole."""
    file = io.BytesIO()
    Image.new("L", (min(width, 64), min(height, 64))).save(file, "png")
    header = b"IHDR" + struct.pack(">II", width, height) + file.getvalue()[24:29]
    return file.getvalue()[:12] + header + struct.pack(">I", zlib.crc32(header)) + file.getvalue()[33:]


BAD = {
    "empty": (lambda jpeg: b"", "is empty"),
    "cut": (lambda jpeg: jpeg[:-200], r"cannot be decoded \(image file is truncated"),
    "only a beginning": (lambda jpeg: jpeg[:20], "is no JPEG, PNG, BMP, GIF or WebP image|cannot be decoded"),
    "text": (lambda jpeg: b"hello\nworld " * 50, "is no JPEG, PNG, BMP, GIF or WebP image"),
    "a damaged png": (lambda jpeg: png(64, 64)[:60], "cannot be decoded|is no JPEG"),
    "one pixel": (lambda jpeg: png(1, 1), "is 1x1, and 8 pixels are the least"),
    "a bomb": (lambda jpeg: png(20_000, 20_000), "has more than 89,478,485 pixels"),
    "nearly a bomb": (lambda jpeg: png(10_000, 9_000), "has more than 89,478,485 pixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named_on_one_line(tmp_path, rng, case):
    spoil, reason = BAD[case]
    jpeg = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(jpeg, "jpeg")
    path = tmp_path / "a b\nü.jpg"
    path.write_bytes(spoil(jpeg.getvalue()))
    with pytest.raises(BadImageError, match=rf"a b\\nü.jpg ({reason}).*put a whole image") as raised:
        image_decoding.read(path, 16)
    assert len(str(raised.value).splitlines()) == 1


def test_what_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(BadImageError, match=r"none.jpg cannot be opened \(No such file"):
        image_decoding.read(tmp_path / "none.jpg")


def test_names_that_are_no_text_are_shown():
    assert (
        image_decoding.shown(b"a\xff\x1b[31m.jpg".decode("utf-8", "surrogateescape")) == r"a\xff\x1b[31m.jpg"
    )
