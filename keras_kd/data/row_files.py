"""Images that lie as rows of uint8 in a file, read by `seek` and `read`."""

import math
import os

import numpy as np


class RowFile:
    """An `ImageSource`: rows of a file, one an image, from some byte on.

    Args:
      path: of the file.
      offset: of its first image, bytes.
      image_shape: `(height, width, channels)`.
      labels: int64 `[n]`.
    """

    bad = None
    is_raw = True

    def __init__(self, path, offset, image_shape, labels):
        self.path = os.fspath(path)
        self.image_shape = tuple(image_shape)
        self.labels = labels
        self._offset = offset

    def read(self, index):
        images = np.empty((len(index), *self.image_shape), np.uint8)
        size = math.prod(self.image_shape)
        with open(self.path, "rb", buffering=0) as file:
            for place, position in enumerate(map(int, index)):
                file.seek(self._offset + position * size)
                row = file.read(size)
                if len(row) < size:
                    raise ValueError(f"{self.path}: is truncated, was it changed since it was opened?")
                images[place] = np.frombuffer(row, np.uint8).reshape(self.image_shape)
        return images
