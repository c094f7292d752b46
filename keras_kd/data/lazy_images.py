"""Images that are read when they are asked for, so that no more than a batch of them is in memory."""

import concurrent.futures
import contextlib
import itertools
import math
from typing import Protocol

import numpy as np

from keras_kd.utils import progress

READ_AHEAD = 2  # batches that are read while another is worked on

AT_ONCE = 256  # images that a network is asked about at a time, at the most

PIXELS_AT_ONCE = 2**25  # bytes of their pixels in float32, at the most


class BadImageError(ValueError):
    """An image cannot be read.

    Attributes:
      name: of its file, on one line.
      reason: what is wrong with it.
      position: in its source, where that is known.
    """

    def __init__(self, name, reason, position=None):
        super().__init__(name, reason, position)
        self.name = name
        self.reason = reason
        self.position = position

    def __str__(self):
        return f"{self.name} {self.reason}: put a whole image in its place, or take it away"


class ImageSource(Protocol):
    """Where images come from; each is a pure function of its position.

    Attributes:
      image_shape: `(height, width, channels)`.
      labels: int64 `[n]`.
      bad: `{name: reason}` of images that cannot be read and are done without; None: they are errors.
      is_raw: whether pixels are read as they lie there, so that a split may be read whole, in parts, for what
        it is known by and normalised with.
    """

    image_shape: tuple[int, int, int]
    labels: np.ndarray
    bad: dict | None
    is_raw: bool

    def read(self, index):
        """uint8 `[n, height, width, channels]` of the images at positions `index`, whole numbers `[n]`.

        Raises:
          BadImageError: for the first that cannot be read.
        """

    def digest(self, index):
        """Text that differs if one of these images does; where pixels are raw, nobody asks."""


class LazyImages:
    """Images of a source, indexed like a uint8 array `[n, height, width, channels]`, by the first axis alone.

    Where the source does without bad images, the next one of the same class stands in for one.

    Args:
      source: an `ImageSource`.
      index: int64 `[n]`, positions in the source; None: all.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, source, index=None):
        self.source = source
        self.index = np.arange(len(source.labels)) if index is None else index
        self._stand_ins = {}
        self.failure = None

    @property
    def shape(self):
        return (len(self.index), *self.source.image_shape)

    def __len__(self):
        return len(self.index)

    def __getitem__(self, index):
        if isinstance(index, tuple):
            raise IndexError(f"images that are not in memory have one axis to index. Received: {index!r}")
        positions = self.index[index if isinstance(index, slice) else np.asarray(index)]
        images = self._read(np.atleast_1d(positions))
        return images if np.ndim(positions) else images[0]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def take(self, index, axis=0):
        """The images at `index`, whole numbers `[n]`, as `LazyImages`; nothing is read."""
        return LazyImages(self.source, self.index[index])

    @property
    def fingerprint(self):
        """Text that differs if one of the images does, as far as the source's `digest` looks at them."""
        return self.source.digest(self.index)

    def _read(self, positions):
        try:
            return self._read_good(positions)
        except (ValueError, OSError) as error:
            self.failure = error
            raise

    def _read_good(self, positions):
        while True:
            known = self._stand_ins
            if known:
                positions = np.array([known.get(int(each), each) for each in positions], np.int64)
            try:
                return self.source.read(positions)
            except BadImageError as error:
                if self.source.bad is None or error.position is None:
                    raise
                self._replace(error)

    def _replace(self, error):
        """Finds the next image of the class that is not known to be bad; if it is, that is told next."""
        labels, bad = self.source.labels, int(error.position)
        same = self.index[labels[self.index] == labels[bad]]
        same = np.concatenate([same[same > bad], same[same < bad]])
        known = dict(self._stand_ins)  # never changed in place: other threads read it
        left = [int(each) for each in same if int(each) not in known]
        if not left:
            raise ValueError(
                f"{error.name} {error.reason}, and no other image of its class can be read"
            ) from error
        known |= dict.fromkeys([bad, *(one for one, other in known.items() if other == bad)], left[0])
        self._stand_ins = known
        if error.name not in self.source.bad:
            self.source.bad[error.name] = error.reason
            progress.say(f"{error.name} {error.reason}: another image of its class stands in for it")


def is_lazy(images):
    """Whether images are `LazyImages`, and no array."""
    return isinstance(images, LazyImages)


def is_decoded(images):
    """Whether images are decoded each time that they are read, which takes its time and may fail."""
    return is_lazy(images) and not images.source.is_raw


def at_once(image_shape, most=AT_ONCE):
    """How many images a network is asked about at a time: `most`, or fewer where they are large.

    A function of their size alone, so that the same images are always asked about alike.

    Args:
      image_shape: `(height, width, channels)`.
      most: of small ones.
    """
    return max(1, min(most, PIXELS_AT_ONCE // (4 * math.prod(image_shape))))


def slices(count, batch_size):
    """As few slices as can be, of nearly equal size and none larger than `batch_size`."""
    parts = max(-(-count // batch_size), 1)
    size, rest = divmod(count, parts)
    bounds = [part * size + min(part, rest) for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]


class ReadAhead:
    """Values of a function of 0, 1, 2, ..., which is called in threads for those that come next.

    Args:
      function: of a whole number.
      count: of its values.
    """

    def __init__(self, function, count):
        self._function, self._count = function, count
        self._pool = concurrent.futures.ThreadPoolExecutor(READ_AHEAD)
        self._coming = {}

    def __call__(self, number):
        for each in range(number, min(number + 1 + READ_AHEAD, self._count)):
            if each not in self._coming:
                self._coming[each] = self._pool.submit(self._function, each)
        return self._coming.pop(number).result()

    def close(self):
        """Ends the threads; what was not asked for is dropped."""
        self._pool.shutdown(cancel_futures=True)


def batches(images, batch_size, index=None):
    """Cuts images into batches of nearly equal size, in order; those that are read are so ahead of their use.

    Args:
      images: an array, or `LazyImages`.
      batch_size: the most in one.
      index: whole numbers `[n]`, which images; None: all. Any image of its class may stand in for a bad one.

    Returns:
      A generator of uint8 `[batch, height, width, channels]`.
    """
    parts = slices(len(images) if index is None else len(index), batch_size)
    if index is not None:
        parts = [index[part] for part in parts]
    if not is_lazy(images):
        yield from (images[part] for part in parts)
        return
    read = ReadAhead(lambda number: images[parts[number]], len(parts))
    with contextlib.closing(read):
        yield from map(read, range(len(parts)))


@contextlib.contextmanager
def named_failures(*splits):
    """Raises what went wrong with the images itself where a pipeline told it in words of its own.

    Args:
      *splits: the `ImageSplit`s that are read in the block.
    """
    lazy = [split.images for split in splits if is_lazy(split.images)]
    for images in lazy:
        images.failure = None
    try:
        yield
    except Exception as error:
        failure = next((images.failure for images in lazy if images.failure is not None), None)
        if failure is None or failure is error:
            raise
        raise failure from error
