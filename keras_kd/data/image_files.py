"""Images in files, opened when they are asked for."""

import functools
import hashlib
import os

import numpy as np

from keras_kd.data import image_decoding
from keras_kd.data.image_decoding import shown
from keras_kd.data.lazy_images import BadImageError

# How many files, at the most, are read to find those that two splits share.
COMPARED = 10_000

# Of how many files, at the most, a fingerprint holds the beginning, beside name and size of all.
CONTENTS = 256
BEGINNING = 65_536  # bytes


class ImageFiles:
    """Images in files below a folder: an `ImageSource`.

    Args:
      root: the folder.
      files: `[(name relative to root, bytes, time of change in ns)]`.
      labels: int64 `[n]`.
      size: see `image_decoding.read`.
      bad: see `ImageSource`.
    """

    is_raw = False

    def __init__(self, root, files, labels, size, bad):
        names, sizes, times = zip(*files, strict=True)
        self.root = os.fspath(root)
        self.names = names
        self.labels = labels
        self.bad = bad
        self._status = np.array([sizes, times], np.int64).T
        self._size = size

    @functools.cached_property
    def image_shape(self):
        """`(height, width, channels)`: as asked for, else those of the first image that can be read."""
        if self._size:
            return (self._size, self._size, 3)
        for position in range(len(self.names)):
            try:
                return self._image(position).shape
            except BadImageError:
                if self.bad is None:
                    raise
        raise ValueError(f"{shown(self.root)}: none of its images can be read")

    def path(self, position):
        """Of an image's file."""
        return os.path.join(self.root, self.names[position])

    def read(self, index):
        images = np.empty((len(index), *self.image_shape), np.uint8)
        for place, position in enumerate(index):
            image = self._image(position)
            if image.shape != self.image_shape:
                (height, width), (rows, columns) = image.shape[:2], self.image_shape[:2]
                raise BadImageError(
                    shown(self.path(position)),
                    f"is {width}x{height}, others are {columns}x{rows}, and no size is given to resize them "
                    f"to (as in {shown(self.root)}:96)",
                    int(position),
                )
            images[place] = image
        return images

    def _image(self, position):
        path = self.path(position)
        try:
            image = image_decoding.read(path, self._size)
            status = os.stat(path)
        except BadImageError as error:
            raise BadImageError(error.name, error.reason, int(position)) from error
        if (status.st_size, status.st_mtime_ns) != tuple(self._status[position]):
            raise BadImageError(shown(path), "was changed since its folder was read", int(position))
        return image

    def key(self):
        """What a cache of these images is known by, beside the `stamp` of each."""
        return f"{self._size} {_digest(self.names)}"

    def stamp(self, position):
        """Text that differs if the file was written anew."""
        return f"{self.names[position]} {self._status[position].tolist()}"

    def digest(self, index):
        """Of names and bytes of all files, and of the beginning of some."""
        found = hashlib.sha256(f"{self._size} {_digest(self.names[each] for each in index)}".encode())
        found.update(self._status[index, 0].tobytes())
        for place in np.linspace(0, len(index) - 1, min(len(index), CONTENTS)).astype(int):
            found.update(self._beginning(index[place]))
        return found.hexdigest()

    def _beginning(self, position):
        try:
            with open(self.path(position), "rb") as file:
                return hashlib.sha256(file.read(BEGINNING)).digest()
        except OSError:  # told where the image is read
            return b"cannot be opened"

    def shared(self, index, others):
        """Pairs of positions, one of `index` and one of `others`, whose files are the same.

        Files of the same size are compared by their beginnings, `COMPARED` files at the most.
        """
        sizes, found = self._status[:, 0], []
        of_size, known = {}, {}
        for position in others[np.isin(sizes[others], sizes[index])]:
            of_size.setdefault(sizes[position], []).append(position)
        for position in index[np.isin(sizes[index], sizes[others])]:
            for each in (position, *of_size[sizes[position]]):
                if each not in known:
                    known[each] = self._beginning(each)
            same = [other for other in of_size[sizes[position]] if known[other] == known[position]]
            found += [(int(position), int(other)) for other in same[:1]]
            if len(known) >= COMPARED:
                break
        return found


def _digest(names):
    return hashlib.sha256(
        "\0".join(names).replace(os.sep, "/").encode("utf-8", "surrogateescape")
    ).hexdigest()
