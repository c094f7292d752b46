"""Random rectangles inside images."""

import numpy as np

ATTEMPTS = 10  # as torchvision's RandomResizedCrop; after these the last one is cut to the image


def draw(rng, count, image_shape, scale, ratio):
    """Rectangles of random area and shape at a random place.

    Args:
      rng: a `numpy.random.Generator`.
      count: how many.
      image_shape: `(height, width, channels)`.
      scale: smallest and largest area, as shares of the image's.
      ratio: the smallest width / height; the largest is its inverse.

    Returns:
      int32 `[count]` each: the first row, the rows, the first column, the columns.

    Source: Szegedy et al. 2015, arXiv:1409.4842, section 6.
    """
    height, width = image_shape[:2]
    area = rng.uniform(*scale, (ATTEMPTS, count)) * height * width
    shape = np.exp(rng.uniform(np.log(ratio), -np.log(ratio), (ATTEMPTS, count)))
    rows, columns = np.rint(np.sqrt(area / shape)), np.rint(np.sqrt(area * shape))
    fits = (rows <= height) & (columns <= width)
    fits[-1] = True
    chosen = (fits.argmax(axis=0), np.arange(count))
    rows = np.clip(rows[chosen], 1, height).astype(np.int32)
    columns = np.clip(columns[chosen], 1, width).astype(np.int32)
    top = rng.integers(0, height - rows, endpoint=True)
    left = rng.integers(0, width - columns, endpoint=True)
    return top.astype(np.int32), rows, left.astype(np.int32), columns
