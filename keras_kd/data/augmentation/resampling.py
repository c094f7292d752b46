"""Pixels between pixels."""

from keras import ops


def bilinear(images, y, x):
    """Images read at other places, bilinearly; beyond the edge the edge's own pixels go on.

    Args:
      images: float32 `[batch, height, width, channels]`.
      y, x: float32 `[batch, rows, columns]`, in pixels; whole numbers are the centres of pixels.

    Returns:
      float32 `[batch, rows, columns, channels]`; at whole numbers the pixels themselves.
    """
    _, height, width, channels = images.shape
    y, x = ops.clip(y, 0.0, height - 1.0), ops.clip(x, 0.0, width - 1.0)
    top, left = ops.floor(y), ops.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]
    rows, columns = ops.cast(top, "int32"), ops.cast(left, "int32")
    below, beside = ops.minimum(rows + 1, height - 1), ops.minimum(columns + 1, width - 1)
    flat = ops.reshape(images, (-1, channels))
    first = ops.arange(ops.shape(y)[0])[:, None, None] * (height * width)

    def across(rows):
        one, other = (ops.take(flat, first + rows * width + each, axis=0) for each in (columns, beside))
        return one * (1.0 - right) + other * right

    return across(rows) * (1.0 - down) + across(below) * down


def rows_and_columns(images):
    """float32 `[1, height, 1]` and `[1, 1, width]`: where the pixels of an image are."""
    _, height, width, _ = images.shape
    return ops.arange(height, dtype="float32")[None, :, None], ops.arange(width, dtype="float32")[None, None]
