"""One image file as a person sees it: upright, in RGB, of the size that is asked for."""

import math
import os

import numpy as np
from PIL import Image, ImageOps

from keras_kd.data.lazy_images import BadImageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")

_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")

SMALLEST_SIDE = 8

LARGEST_PIXELS = 89_478_485  # Pillow's own limit, above which it suspects a decompression bomb

# Side of the square that is cut out of the middle, as a share of the shorter side: the usual 224 of 256.
CENTRE = 0.875

# A JPEG is decoded at a fraction of its size if that still is so many times what is asked for.
_REDUCING_GAP = 2


def is_image(name):
    """Whether a file is taken for an image, by its name; hidden ones such as macOS's `._a.jpg` are not."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def read(path, size=None, resizing="centre"):
    """The image in a file; of an animation its first frame.

    With a size, the square in the middle of the image, whose side is `CENTRE` of the shorter side, is resized
    (bilinear, over the area that a pixel covers); an image that has that size stays as it is. Transparent
    pixels become white. Colour profiles are left out of account.

    Args:
      path: of a JPEG, PNG, BMP, GIF or WebP file.
      size: side of the result, in pixels; None: that of the file.
      resizing: "whole": all of the image is squeezed to the size, each pixel the mean of what it covers, as
        those of tensorflow-datasets are; "centre": as above.

    Returns:
      uint8 `[height, width, 3]`.

    Raises:
      BadImageError: if it cannot be read, is smaller than `SMALLEST_SIDE`, or larger than `LARGEST_PIXELS`.
    """
    try:
        with open(path, "rb") as file, Image.open(file, formats=_FORMATS) as image:
            _check_extent(image, path)
            if size and resizing == "centre":
                least = math.ceil(_REDUCING_GAP * size / CENTRE)
                image.draft(None, (least, least))
            image.load()
            upright = _upright_rgb(image)
            return _squeezed(upright, size) if size and resizing == "whole" else _fitted(upright, size)
    except BadImageError:
        raise
    except MemoryError as error:
        raise BadImageError(shown(path), "does not fit into memory") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImageError(shown(path), _too_large()) from error
    except Exception as error:  # whatever the decoders of a damaged file stumble over
        raise BadImageError(shown(path), _reason(error, path)) from error


def _reason(error, path):
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be opened ({error.strerror})"
    if not os.path.getsize(path):
        return "is empty"
    if isinstance(error, Image.UnidentifiedImageError):
        return "is no JPEG, PNG, BMP, GIF or WebP image"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"cannot be decoded ({text[:200]})"


def _too_large():
    return f"has more than {LARGEST_PIXELS:,} pixels"


def _check_extent(image, path):
    width, height = image.size
    if width * height > LARGEST_PIXELS:
        raise BadImageError(shown(path), f"is {width}x{height}, it {_too_large()}")
    if min(width, height) < SMALLEST_SIDE:
        raise BadImageError(shown(path), f"is {width}x{height}, and {SMALLEST_SIDE} pixels are the least")


def _upright_rgb(image):
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16 bits of grey
        image = Image.fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _fitted(image, size):
    if size is None or image.size == (size, size):
        return np.asarray(image)
    width, height = image.size
    side = CENTRE * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))


def _squeezed(image, size):
    width, height = image.size
    rows = np.tensordot(_shares(height, size), np.asarray(image), 1)
    means = np.tensordot(rows, _shares(width, size), (1, 1)).transpose(0, 2, 1)
    return np.round(means).astype(np.uint8)


def _shares(length, size):
    """float32 `[size, length]`: how much of each of `size` parts of a line each of its pixels is."""
    edges, pixels = np.arange(size + 1)[:, None] * length / size, np.arange(length)
    covered = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return (np.maximum(covered, 0) * size / length).astype(np.float32)


def shown(path):
    """A path on one line, whatever bytes are in its name."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
