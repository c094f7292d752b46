"""Images that lie as rows of uint8 in a file, read by `seek` and `read`."""

import math
import os

import numpy as np

from keras_kd.data.image_decoding import shown


class RowFile:
    """An `ImageSource`: rows of a file, one an image, from some byte on, as long as nobody writes it anew.

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
        self._status = _status(os.stat(self.path))

    def read(self, index):
        images = np.empty((len(index), *self.image_shape), np.uint8)
        size = math.prod(self.image_shape)
        with open(self.path, "rb", buffering=0) as file:
            is_same = _status(os.fstat(file.fileno())) == self._status
            for place, position in enumerate(map(int, index)):
                file.seek(self._offset + position * size)
                row = file.read(size)
                if not is_same or len(row) < size:
                    raise ValueError(
                        f"{shown(self.path)} was changed since it was opened: load its data again, and keep "
                        f"other data under another name"
                    )
                images[place] = np.frombuffer(row, np.uint8).reshape(self.image_shape)
        return images


def _status(found):
    """What differs once a file is replaced or written to."""
    return found.st_ino, found.st_size, found.st_mtime_ns
