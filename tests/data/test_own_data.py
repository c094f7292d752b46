import copy
import os

import keras
import numpy as np
import pytest

from keras_kd import data
from keras_kd.data import lazy_images
from tests.support.arrays import tiny_arrays


@pytest.fixture
def arrays():
    return tiny_arrays(np.random.default_rng(0))


def pair(arrays, split):
    return arrays[f"x_{split}"], arrays[f"y_{split}"]


class Batches(keras.utils.PyDataset):
    """One of your own."""

    def __init__(self, images, labels, size=7):
        super().__init__()
        self._data, self._size = (images, labels), size

    def __len__(self):
        return -(-len(self._data[1]) // self._size)

    def __getitem__(self, step):
        return tuple(each[step * self._size : (step + 1) * self._size] for each in self._data)


def test_arrays_are_what_load_makes_of_them_in_a_file(arrays, npz):
    expected = data.load(npz)
    found = data.from_arrays(pair(arrays, "train"), test=pair(arrays, "test"))
    assert found.fingerprint == expected.fingerprint
    assert found.class_names == ("0", "1", "2", "3")
    named = data.from_arrays(
        pair(arrays, "train"), class_names=["a", "b", "c", "d"], name="mine", flips=False
    )
    assert (named.class_names, named.name, named.flips) == (("a", "b", "c", "d"), "mine", False)
    assert [len(each.labels) for each in (named.train, named.validation, named.test)] == [57, 7, 16]


@pytest.mark.parametrize("cache", ["memory", "disk"])
@pytest.mark.parametrize("kind", ["PyDataset", "batches", "examples", "weighted", "tf.data"])
def test_what_yields_images_is_read_once(arrays, npz, tmp_path, kind, cache):
    def stream(split):
        images, labels = pair(arrays, split)
        if kind == "PyDataset":
            return Batches(images, labels)
        if kind == "batches":
            return iter([(images[:20], labels[:20, None]), (images[20:], labels[20:, None])])
        if kind == "examples":
            return zip(images, labels, strict=True)
        if kind == "weighted":  # with labels as in keras.datasets
            return ((image, label[None], 1.0) for image, label in zip(images, labels, strict=True))
        tf = pytest.importorskip("tensorflow")
        return tf.data.Dataset.from_tensor_slices((images, labels)).batch(9)

    expected = data.from_arrays(pair(arrays, "train"), test=pair(arrays, "test"))
    found = data.from_datasets(stream("train"), test=stream("test"), cache=cache, cache_dir=tmp_path)
    assert lazy_images.is_lazy(found.train.images) == (cache == "disk")
    np.testing.assert_array_equal(np.asarray(found.test.images), expected.test.images)
    assert found.fingerprint == expected.fingerprint


BAD = {
    "scaled": (lambda x, y: (x / 255, y), "train images must be uint8 .* not yet scaled.*float64"),
    "flat": (lambda x, y: (x.reshape(80, -1), y), r"must be uint8 \[n, height, width, channels\]"),
    "one-hot": (
        lambda x, y: (x, np.eye(4, dtype=int)[y]),
        r"numbers of the classes, .*Received: int64 \[80, 4\]",
    ),
    "too few labels": (lambda x, y: (x, y[1:]), r"an integer for each of 80 images. Received: int64 \[79\]"),
    "none": (lambda x, y: (x[:0], y[:0]), "there are no train images"),
    "a gap": (lambda x, y: (x, np.where(y == 2, 5, y)), "no example of class 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_data_is_refused_in_one_line(arrays, case):
    spoil, message = BAD[case]
    spoilt = spoil(*pair(arrays, "train"))
    with pytest.raises(ValueError, match=message):
        data.from_arrays(spoilt)
    with pytest.raises(ValueError, match=message):
        data.from_datasets([spoilt])


@pytest.mark.parametrize(
    ("names", "first", "message"),
    [
        ("ab", 0, "the training labels must be 0 to 1, as there are 2 classes.*Received: labels 0 to 3"),
        ("abc", -1, "the training labels must be 0 to 2, as there are 3 classes.*Received: labels -1 to 2"),
        ("abcde", 0, "there is no example of class 4"),
    ],
)
def test_names_of_classes_that_do_not_fit_are_told(arrays, names, first, message):
    images, labels = pair(arrays, "train")
    for given in (data.from_arrays, lambda pair, **options: data.from_datasets([pair], **options)):
        with pytest.raises(ValueError, match=message):
            given((images, labels + first), class_names=list(names))


def test_streams_that_cannot_be_kept(arrays, tmp_path):
    images, labels = pair(arrays, "train")
    with pytest.raises(
        ValueError, match=r"have one shape: resize them before. Received: \[8, 8, 3\] and \[4, 8, 3\]"
    ):
        data.from_datasets([(images, labels), (images[:, :4], labels)], cache="disk", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="there are no train images"):
        data.from_datasets([])
    with pytest.raises(ValueError, match="cache must be one of memory, disk"):
        data.from_datasets([(images, labels)], cache="none")


@pytest.mark.parametrize(
    ("given", "received"),
    [({"image": 0, "label": 1}, r"a dict of \['image', 'label'\]"), (np.zeros((8, 8, 3)), "ndarray")],
)
def test_a_stream_of_something_else_than_pairs_is_refused(given, received):
    with pytest.raises(ValueError, match=f"must yield pairs of images and labels.* Received: {received}"):
        data.from_datasets([given])


def test_a_file_that_another_dataset_took_is_told(arrays, tmp_path):
    def kept(images):
        given = [(images, pair(arrays, "train")[1])]
        return data.from_datasets(given, cache="disk", cache_dir=tmp_path).train.images

    first = kept(arrays["x_train"])
    sent = copy.deepcopy(first)  # as to other processes
    np.testing.assert_array_equal(sent[:4], first[:4])
    second = kept(255 - arrays["x_train"])
    for images in (first, sent):
        with pytest.raises(ValueError, match=r"/data-train.uint8 was changed since it was opened: load"):
            images[:4]
    second[:4]
    os.truncate(tmp_path / "data-train.uint8", 9)
    with pytest.raises(ValueError, match="was changed since"):
        second[:4]
