"""Decoded images that are kept in memory or on disk, each from the first time that it is read.

On disk they are one file of uint8 rows, read row by row and not through a map, whose pages would count as
this process's memory. Any number of processes may share it.
"""

import functools
import hashlib
import math
import os
import pathlib
import zlib

import numpy as np

from keras_kd.utils import files, limits, locks

CACHES = ("memory", "disk", "none")

FOLDER = "runs/image_cache"

VERSION = 1  # of how images are decoded and kept


def cached(source, cache, folder=None):
    """The source behind a cache of its images.

    Args:
      source: an `ImageSource` that also has `key()`, text, and `stamp(position)`, text that changes when the
        image may have.
      cache: "memory", "disk", "none", or None, which is "none".
      folder: of all caches on disk; None: `FOLDER`.

    Raises:
      ValueError: for one that does not fit.
    """
    if cache in (None, "none"):
        return source
    if cache == "memory":
        return CachedImages(source, MemoryRows(len(source.labels), source.image_shape))
    shape, count = source.image_shape, len(source.labels)
    key = hashlib.sha256(f"{VERSION} {count} {shape} {source.key()}".encode()).hexdigest()[:16]
    return CachedImages(source, DiskRows(pathlib.Path(folder or FOLDER) / key, count, shape, source.stamp))


class CachedImages:
    """An `ImageSource` whose images are read once.

    Args:
      source: an `ImageSource`.
      rows: where its images are kept.
    """

    def __init__(self, source, rows):
        self.source = source
        self._rows = rows
        self.image_shape = source.image_shape
        self.labels = source.labels
        self.digest = source.digest
        self.is_raw = source.is_raw

    @property
    def bad(self):
        return self.source.bad

    def read(self, index):
        images = np.empty((len(index), *self.image_shape), np.uint8)
        missing = np.flatnonzero(~self._rows.get(index, images))
        if len(missing):
            images[missing] = self.source.read(index[missing])
            self._rows.put(index[missing], images[missing])
        return images


class MemoryRows:
    """Images in memory; another process begins with none.

    Args:
      count: of images.
      shape: of each.
    """

    def __init__(self, count, shape):
        limits.check_memory("the cache of decoded images", count * math.prod(shape))
        self._count, self._shape = count, shape

    @functools.cached_property
    def _images(self):
        return np.empty((self._count, *self._shape), np.uint8)  # takes memory as it is filled

    @functools.cached_property
    def _there(self):
        return np.zeros(self._count, bool)

    def __getstate__(self):
        return {"_count": self._count, "_shape": self._shape}

    def get(self, index, images):
        """Fills in the images at positions `index` that are there; returns bool `[n]`: which are."""
        there = self._there[index]
        images[there] = self._images[index[there]]
        return there

    def put(self, index, images):
        self._images[index] = images
        self._there[index] = True


class DiskRows:
    """Images in a file of rows, and beside it a file of their checksums; 0 is one that is not there.

    The checksum holds the image's stamp, so that one whose file was changed is not there any more.

    Args:
      folder: of the two files.
      count: of images.
      shape: of each.
      stamp: function from a position to text.
    """

    def __init__(self, folder, count, shape, stamp):
        self._size = math.prod(shape)
        self._rows, self._sums = folder / "images.uint8", folder / "checksums.uint32"
        self._stamp = stamp
        sizes = {self._rows: count * self._size, self._sums: count * 4}
        if all(path.is_file() and path.stat().st_size == size for path, size in sizes.items()):
            return
        limits.check_disk("the cache of decoded images", sum(sizes.values()), folder)
        with locks.held(folder / ".lock", patience=math.inf):
            for path, size in sizes.items():
                if not path.is_file() or path.stat().st_size != size:
                    _make(path, size)

    def get(self, index, images):
        """As `MemoryRows.get`."""
        there = np.zeros(len(index), bool)
        with self._rows.open("rb", buffering=0) as rows, self._sums.open("rb", buffering=0) as sums:
            for place, position in enumerate(map(int, index)):
                sums.seek(position * 4)
                stored = int.from_bytes(sums.read(4), "little")
                if stored:
                    rows.seek(position * self._size)
                    row = rows.read(self._size)
                    if self._checksum(row, position) == stored:
                        images[place] = np.frombuffer(row, np.uint8).reshape(images.shape[1:])
                        there[place] = True
        return there

    def put(self, index, images):
        try:
            with self._rows.open("r+b", buffering=0) as rows, self._sums.open("r+b", buffering=0) as sums:
                for position, image in zip(map(int, index), images, strict=True):
                    row = image.tobytes()
                    rows.seek(position * self._size)
                    if rows.write(row) < len(row):  # a disk that is nearly full: the next one says so
                        continue
                    sums.seek(position * 4)
                    sums.write(self._checksum(row, position).to_bytes(4, "little"))
        except OSError as error:
            error.filename = error.filename or os.fspath(self._rows)
            raise

    def _checksum(self, row, position):
        return zlib.crc32(row, zlib.crc32(self._stamp(position).encode("utf-8", "surrogateescape")))


def _make(path, size):
    """A file of zeros, most of them not yet on the disk."""
    with files.replacing(path) as part, part.open("wb") as file:
        file.truncate(size)
