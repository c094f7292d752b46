"""The operations that `randaugment` chooses from, on float32 `[batch, height, width, channels]` in [0, 1].

Each does to 8-bit values what Pillow's `ImageEnhance`, `ImageOps` and `Image.transform` do, without rounding
where these round.
"""

import numpy as np
from keras import ops

from keras_kd.data.augmentation.colours import blend, grey, grey_mean
from keras_kd.data.augmentation.resampling import bilinear, rows_and_columns

LEVELS = 256

# Of Pillow's ImageFilter.SMOOTH.
SMOOTHING = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], "float32") / 13


def apply(pixels, names, chosen, level, mean):
    """Does to each example the operation that is chosen for it.

    Args:
      pixels: float32 `[batch, height, width, channels]`.
      names: of operations.
      chosen: int `[batch]`, places in `names`.
      level: float32 `[batch]`: radians, a share of the size, a shear, a factor less 1, fewer bits, or how far
        below white, as the operation has it.
      mean: float32 `[channels]`, of what lies outside.
    """
    chosen, level = ops.convert_to_tensor(chosen), ops.convert_to_tensor(level)
    result = _moved(pixels, {name: chosen == names.index(name) for name in GEOMETRY}, level, mean)
    level = level[:, None, None, None]
    for name, operation in COLOURS.items():
        is_chosen = (chosen == names.index(name))[:, None, None, None]
        result = ops.where(is_chosen, operation(pixels, level), result)
    return result


GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def _moved(pixels, is_chosen, level, mean):
    """Sheared, translated or rotated about the centre, bilinearly; others as they are."""
    _, height, width, _ = pixels.shape
    y, x = rows_and_columns(pixels)
    y, x = y - (height - 1) / 2, x - (width - 1) / 2

    def amount(name, value, otherwise=0.0):
        return ops.where(is_chosen[name], value, otherwise)[:, None, None]

    cosine = amount("rotate", ops.cos(level), 1.0)
    sine = amount("rotate", ops.sin(level))
    across = cosine * x + (amount("shear_x", level) + sine) * y - amount("translate_x", level * width)
    down = cosine * y + (amount("shear_y", level) - sine) * x - amount("translate_y", level * height)
    across, down = across + (width - 1) / 2, down + (height - 1) / 2
    inside = (across > -0.5) & (across < width - 0.5) & (down > -0.5) & (down < height - 0.5)
    return ops.where(inside[..., None], bilinear(pixels, down, across), mean)


def _brightness(pixels, level):
    return blend(ops.zeros_like(pixels), pixels, 1.0 + level)


def _color(pixels, level):
    return blend(grey(pixels), pixels, 1.0 + level)


def _contrast(pixels, level):
    return blend(grey_mean(pixels), pixels, 1.0 + level)


def _sharpness(pixels, level):
    """Away from, or towards, the smoothed image; the edge stays."""
    _, height, width, channels = pixels.shape
    kernel = np.repeat(SMOOTHING[:, :, None, None], channels, axis=2)
    smooth = ops.depthwise_conv(pixels, kernel, padding="same")
    y, x = rows_and_columns(pixels)
    inner = ((y > 0) & (y < height - 1) & (x > 0) & (x < width - 1))[..., None]
    return ops.where(inner, blend(smooth, pixels, 1.0 + level), pixels)


def _posterize(pixels, level):
    """Keeps the higher bits: 8 less `level`, rounded."""
    step = ops.power(2.0, ops.round(level))
    return ops.floor(_bytes(pixels) / step) * step / (LEVELS - 1.0)


def _solarize(pixels, level):
    """Inverts what is as bright as 1 - `level`, or brighter."""
    return ops.where(pixels >= 1.0 - level, 1.0 - pixels, pixels)


def _autocontrast(pixels, level):
    """The darkest value of each channel becomes 0 and the brightest 1."""
    low, high = (reduce(pixels, axis=(1, 2), keepdims=True) for reduce in (ops.min, ops.max))
    spread = high - low
    stretched = (pixels - low) / ops.where(spread > 0, spread, 1.0)
    return ops.where(spread > 0, stretched, pixels)


def _equalize(pixels, level):
    """Each channel's values spread so that about as many pixels have each of them."""
    values = ops.cast(_bytes(pixels), "int32")
    batch, channels = ops.shape(values)[0], pixels.shape[-1]
    histogram_of = ops.arange(batch)[:, None] * channels + ops.arange(channels)
    bins = values + (histogram_of * LEVELS)[:, None, None, :]
    flat = ops.reshape(bins, (-1,))
    counts = ops.segment_sum(ops.ones_like(flat), flat, num_segments=batch * channels * LEVELS)
    counts = ops.reshape(counts, (-1, channels, LEVELS))
    brightest = ops.max(values, axis=(1, 2))
    of_brightest = ops.take_along_axis(counts, brightest[..., None], axis=-1)
    step = (ops.sum(counts, axis=-1, keepdims=True) - of_brightest) // (LEVELS - 1)
    table = (ops.cumsum(counts, axis=-1) - counts + step // 2) // ops.maximum(step, 1)
    equalized = ops.take(ops.reshape(ops.minimum(table, LEVELS - 1), (-1,)), bins, axis=0)
    keeps = ops.reshape(step, (-1, 1, 1, channels)) == 0
    return ops.where(keeps, pixels, ops.cast(equalized, "float32") / (LEVELS - 1.0))


def _bytes(pixels):
    """0 to 255, rounded."""
    return ops.round(pixels * (LEVELS - 1.0))


COLOURS = {
    "brightness": _brightness,
    "color": _color,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
