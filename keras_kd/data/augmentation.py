"""Training images moved and mirrored, and every image normalised, on any backend.

Where an image goes is drawn elsewhere (`plans`); here it is done, on the device that computes.
"""

from keras import ops

# How far an image is moved: 4 pixels of 32, as in He et al. 2016, section 4.2.
CROP_FRACTION = 8

AUGMENTATIONS = ("auto", "none", "crop", "crop_flip")


def resolve(dataset, augmentation):
    """What "auto" means for this dataset; any other name is returned as it is.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      augmentation: one of `AUGMENTATIONS`.

    Raises:
      ValueError: for an unknown name.
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(
            f"augmentation must be one of {AUGMENTATIONS}. Received: augmentation={augmentation!r}"
        )
    if augmentation == "auto":
        return "crop_flip" if dataset.flips else "crop"
    return augmentation


def normalise(images, mean, std):
    """uint8 `[batch, height, width, channels]` to float32, `(image / 255 - mean) / std`."""
    return (ops.cast(images, "float32") / 255.0 - mean) / std


def limits(image_shape):
    """The largest move of an image, `(rows, columns)`, in pixels."""
    height, width, _ = image_shape
    return height // CROP_FRACTION, width // CROP_FRACTION


def augment(images, rows, columns, mirrored, mean, std):
    """Moves, mirrors and normalises a batch; what comes in from outside is the mean image, 0.

    Args:
      images: uint8 `[batch, height, width, channels]`.
      rows, columns: int32 `[batch]`, how far each window lies below and right of its image, in pixels.
      mirrored: int32 `[batch]`, 1 where left and right change places after that.
      mean, std: float32 `[channels]`.

    Returns:
      float32 `[batch, height, width, channels]`.
    """
    _, height, width, channels = images.shape
    rows, columns, mirrored = (ops.convert_to_tensor(moves) for moves in (rows, columns, mirrored))
    batch = ops.shape(rows)[0]
    across = ops.arange(width)
    across = ops.where(mirrored[:, None] == 1, width - 1 - across, across)
    y, x = rows[:, None] + ops.arange(height), columns[:, None] + across
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
    y, x = ops.clip(y, 0, height - 1), ops.clip(x, 0, width - 1)
    pixels = ops.arange(batch)[:, None, None] * (height * width) + y[:, :, None] * width + x[:, None, :]
    moved = ops.take(ops.reshape(images, (-1, channels)), pixels, axis=0)
    return ops.where(inside[..., None], normalise(moved, mean, std), 0.0)
