import copy
import threading

import numpy as np
import pytest

from keras_kd.data import lazy_images
from keras_kd.data.lazy_images import BadImageError, LazyImages


class Squares:
    """Images that are full of their position."""

    image_shape = (8, 8, 3)
    bad = None

    def __init__(self, count=40):
        self.labels = np.zeros(count, np.int64)
        self.most = 0

    def read(self, index):
        self.most = max(self.most, len(index))
        return np.broadcast_to(np.uint8(index)[:, None, None, None], (len(index), 8, 8, 3)).copy()

    def digest(self, index):
        return str(list(index))


INDICES = [3, -1, slice(2, 9), slice(None, None, -3), [5, 5, 1], np.array([7]), np.arange(40) % 2 == 0, []]


@pytest.mark.parametrize("index", INDICES, ids=range(len(INDICES)))
def test_they_are_indexed_like_an_array(index):
    index = np.array(index, int) if isinstance(index, list) else index
    images = LazyImages(Squares())
    whole = np.asarray(images)
    np.testing.assert_array_equal(images[index], whole[index])
    part = np.array([9, 4, 30, 8])
    np.testing.assert_array_equal(np.asarray(images.take(part)), whole[part])
    np.testing.assert_array_equal(np.asarray(images.take(part).take(np.array([2, 0]))), whole[[30, 9]])


def test_shape_dtype_and_length():
    images = LazyImages(Squares(), np.array([3, 5]))
    assert (images.shape, images.dtype, len(images), images.ndim) == ((2, 8, 8, 3), np.uint8, 2, 4)
    with pytest.raises(IndexError):
        images[..., 0]


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 3), (6, 3), (7, 3), (40, 7), (40, 40), (40, 100)])
def test_slices_are_those_of_array_split(count, size):
    parts = [np.arange(count)[part] for part in lazy_images.slices(count, size)]
    expected = np.array_split(np.arange(count), max(-(-count // size), 1))
    assert [list(part) for part in parts] == [list(part) for part in expected]


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((8, 8, 1), 256),
        ((32, 32, 3), 256),
        ((96, 96, 3), 256),
        ((224, 224, 3), 55),
        ((512, 512, 3), 10),
        ((4096, 4096, 3), 1),
    ],
)
def test_fewer_large_images_are_asked_about_at_a_time(shape, count):
    assert lazy_images.at_once(shape) == count
    assert lazy_images.at_once(shape, 64) == min(count, 64)


def test_batches_are_bounded_and_in_order():
    source = Squares()
    parts = list(lazy_images.batches(LazyImages(source), 9))
    np.testing.assert_array_equal(np.concatenate(parts), np.asarray(LazyImages(source.__class__())))
    assert source.most == 8
    whole = np.arange(40)
    np.testing.assert_array_equal(np.concatenate(list(lazy_images.batches(whole, 9))), whole)


def test_reading_ahead_is_bounded():
    threads, asked = threading.active_count(), []

    class Counted(Squares):
        def read(self, index):
            asked.append(index)
            return super().read(index)

    batches = lazy_images.batches(LazyImages(Counted()), 4)
    next(batches)
    assert len(asked) <= 1 + lazy_images.READ_AHEAD
    batches.close()
    assert threading.active_count() <= threads


class OneBad(Squares):
    def read(self, index):
        if 13 in index:
            raise BadImageError("thirteen.png", "is empty", 13)
        return super().read(index)


def test_a_bad_image_is_raised_through_whatever_reads():
    with pytest.raises(BadImageError, match="thirteen.png is empty"):
        list(lazy_images.batches(LazyImages(OneBad()), 8))
    images = LazyImages(OneBad())
    split = type("Split", (), {"images": images})
    with pytest.raises(BadImageError, match="thirteen"), lazy_images.named_failures(split):  # noqa: PT012
        try:
            images[10:20]
        except ValueError as error:
            raise RuntimeError("in a graph, many lines about it") from error
    with pytest.raises(RuntimeError, match="of its own"), lazy_images.named_failures(split):
        raise RuntimeError("of its own")


@pytest.mark.parametrize("error", [ValueError("of a changed file"), FileNotFoundError("there is none")])
def test_so_is_whatever_else_a_source_says(error):
    class Gone(Squares):
        def read(self, index):
            raise error

    split = type("Split", (), {"images": LazyImages(Gone())})
    with pytest.raises(type(error), match=str(error)), lazy_images.named_failures(split):  # noqa: PT012
        try:
            split.images[10:20]
        except (ValueError, OSError) as told:
            raise RuntimeError("in a graph, many lines about it") from told


def test_both_go_to_other_processes():
    error = copy.deepcopy(BadImageError("a.png", "is empty", 3))  # as they are sent: by __reduce__
    assert (error.name, error.reason, error.position, str(error)[:14]) == (
        "a.png",
        "is empty",
        3,
        "a.png is empty",
    )
    images = copy.deepcopy(LazyImages(Squares(), np.array([2, 6])))
    assert images[:][:, 0, 0, 0].tolist() == [2, 6]
