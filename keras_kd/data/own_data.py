"""Datasets of your own, in Python: arrays, or whatever yields images and labels.

dataset = keras_kd.data.from_arrays((x_train, y_train), test=(x_test, y_test))
"""

import pathlib

import keras
import numpy as np

from keras_kd.data import datasets, image_cache
from keras_kd.data.dataset import Split
from keras_kd.data.lazy_images import LazyImages
from keras_kd.data.row_files import RowFile
from keras_kd.utils import files, limits

KEPT = ("memory", "disk")


def from_arrays(train, validation=None, test=None, *, class_names=None, name="arrays", **options):
    """A `Dataset` of arrays in memory.

    Args:
      train, validation, test: `(images, labels)` each: uint8 `[n, height, width, channels]` or `[n, height,
        width]`, and integers `[n]`; validation and test are cut off train if None.
      class_names: one string per class; None: their numbers.
      name: of the dataset, for results.
      **options: `validation_fraction`, `seed`, and `flips`, of `datasets.assemble`.

    Raises:
      ValueError: for other arrays, or ones that do not fit together.
    """
    given = {"train": train, "validation": validation, "test": test}
    splits = {split: _split(*pair, split) for split, pair in given.items() if pair is not None}
    return _assembled(name, splits, class_names, options)


def from_datasets(
    train,
    validation=None,
    test=None,
    *,
    class_names=None,
    name="data",
    cache="memory",
    cache_dir=None,
    **options,
):
    """A `Dataset` of what yields images: each is read once, in order, into memory or a file.

    A schedule needs images by their place, which a stream does not have.

    Args:
      train, validation, test: a `tf.data.Dataset`, a `keras.utils.PyDataset`, or another iterable (as a Grain
        loader) of `(images, labels)`, batches or single examples; not augmented, and not repeated.
      class_names, name, **options: as for `from_arrays`.
      cache: where the images are kept: "memory" or "disk".
      cache_dir: folder of the files `NAME-SPLIT.uint8`, written anew each time: what was read from one before
        is then an error, so each dataset has a name of its own; None: "runs/image_cache".

    Raises:
      ValueError: for other images or labels, or ones that do not fit together.
    """
    limits.check_choice("cache", cache, KEPT)
    given = {"train": train, "validation": validation, "test": test}
    splits = {}
    for split, stream in given.items():
        if stream is not None and cache == "memory":
            images, labels = zip(*_batches(stream, split), strict=True)
            splits[split] = Split(np.concatenate(images), np.concatenate(labels))
        elif stream is not None:
            path = pathlib.Path(cache_dir or image_cache.FOLDER) / f"{name}-{split}.uint8"
            splits[split] = _written(_batches(stream, split), path)
    return _assembled(name, splits, class_names, options)


def _assembled(name, splits, class_names, options):
    if class_names is None:
        class_names = map(str, range(len(np.unique(splits["train"].labels))))
    return datasets.assemble(name, splits, tuple(class_names), **options)


def _split(images, labels, what):
    """The `Split` of arrays.

    Raises:
      ValueError: if they are none of images and classes.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    images = images[..., np.newaxis] if images.ndim == 3 else images
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"the {what} images must be uint8 [n, height, width, channels], not yet scaled: normalising is "
            f"done here. Received: {images.dtype} {list(images.shape)}"
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1 or len(labels) != len(images):
        raise ValueError(
            f"the {what} labels must be the numbers of the classes, an integer for each of {len(images)} "
            f"images. Received: {labels.dtype} {list(labels.shape)}"
        )
    if not len(labels):
        raise ValueError(f"there are no {what} images: give some, or None")
    return Split(images, labels.astype(np.int64))


def _batches(stream, what):
    """`Split`s of what a stream yields."""
    found = None
    for given in _iterated(stream):
        split = _split(*_batch(given, what), what)
        found = found or split.images.shape[1:]
        if split.images.shape[1:] != found:
            raise ValueError(
                f"the {what} images must have one shape: resize them before. Received: {list(found)} and "
                f"{list(split.images.shape[1:])}"
            )
        yield split
    if found is None:
        raise ValueError(f"there are no {what} images: give some, or None")


def _batch(given, what):
    """Images and labels of what a stream yields, a batch or an example, with weights or without."""
    if not isinstance(given, (tuple, list)) or len(given) < 2:
        raise ValueError(
            f"a stream of {what} images must yield pairs of images and labels; map it to such. Received: "
            f"{f'a dict of {sorted(given)}' if isinstance(given, dict) else type(given).__name__}"
        )
    images, labels = map(np.asarray, given[:2])
    is_one = labels.shape == (1,) and images.ndim < 4 and len(images) != 1  # as Keras's datasets have them
    if labels.ndim == 0 or is_one:
        return images[np.newaxis], labels.reshape(1)
    return images, labels


def _iterated(stream):
    if isinstance(stream, keras.utils.PyDataset):
        return (stream[step] for step in range(stream.num_batches))
    if hasattr(stream, "as_numpy_iterator"):
        return stream.as_numpy_iterator()
    return iter(stream)


def _written(batches, path):
    """The `Split` of images in a file of rows."""
    labels = []
    with files.replacing(path) as part, part.open("wb") as file:
        for split in batches:
            file.write(np.ascontiguousarray(split.images).data)
            labels.append(split.labels)
            shape = split.images.shape[1:]
    labels = np.concatenate(labels)
    return Split(LazyImages(RowFile(path, 0, shape, labels)), labels)
