"""Image classification data as NumPy arrays: `load(name)`.

Images stay uint8 `[n, height, width, channels]`, labels int64 `[n]`. Validation is a
stratified part of train that depends on the seed; test never does.
"""

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import pathlib
import re
import socket
import threading
import urllib.parse
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

DEFAULT = "digits"

TEST_FRACTION = 0.2  # where a dataset comes without a test split

TEST_SEED = 0

REACH_SECONDS = 3.0


# A mirrored digit or letter is not the same class any more.
WRITING = re.compile(r"mnist|svhn|digits|alpha|omniglot|letters|characters|captcha")


class Split(NamedTuple):
    """Examples: `images` uint8 `[n, height, width, channels]`, `labels` int64 `[n]`."""

    images: np.ndarray
    labels: np.ndarray

    def take(self, index):
        """The examples at `index`, an array of positions."""
        return Split(self.images[index], self.labels[index])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset in memory.

    Attributes:
      name: as given to `load`.
      train, validation, test: `Split`.
      class_names: one string per class.
      flips: whether a mirrored image shows the same class.
      moments_of: the images whose mean and deviation normalise all; None: those of train.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    flips: bool
    moments_of: np.ndarray | None = None

    @property
    def image_shape(self):
        """`(height, width, channels)`."""
        return self.train.images.shape[1:]

    @property
    def num_classes(self):
        return len(self.class_names)

    @functools.cached_property
    def mean(self):
        """float32 `[channels]`: the mean of the training images (or `moments_of`), scaled to [0, 1]."""
        return self._moments[0]

    @functools.cached_property
    def std(self):
        """float32 `[channels]`: the standard deviation of the same images, same scale."""
        return self._moments[1]

    @functools.cached_property
    def _moments(self):
        values = np.arange(256) / 255
        images = self.train.images if self.moments_of is None else self.moments_of
        counts = np.stack(
            [np.bincount(images[..., c].ravel(), minlength=256) for c in range(self.image_shape[-1])]
        )
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ values
        std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))
        return mean.astype("float32"), np.where(std > 0, std, 1).astype("float32")

    @functools.cached_property
    def fingerprint(self):
        """16 hex digits that differ when any image, label or split does."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            for array in split:
                digest.update(str(array.shape).encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def load(name=DEFAULT, *, validation_fraction=0.1, seed=0, data_dir=None):
    """Loads a dataset.

    Args:
      name: "digits" (scikit-learn's 8x8 digits, always there), a path that ends in `.npz`
        (Keras's keys `x_train`, `y_train`, `x_test`, `y_test`, and `x_val`, `y_val` if present),
        or the name of an image classifier of tensorflow-datasets, as `cifar10`. Images of
        different sizes need one to be resized to: `tf_flowers:64` makes them 64x64.
      validation_fraction: share of train that becomes validation, in (0, 1); without effect
        where the data come with a validation split.
      seed: which part of train becomes validation.
      data_dir: where tensorflow-datasets keeps its data.

    Returns:
      A `Dataset`.

    Raises:
      ValueError: for an unknown name, or for data that cannot be used; the message says why.
      FileNotFoundError: if there is no such `.npz`.
      ConnectionError: if a dataset has to be downloaded and its host does not answer.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(f"validation_fraction must lie between 0 and 1. Received: {validation_fraction!r}")
    if name == "digits":
        splits, class_names = _digits()
    elif str(name).endswith(".npz"):
        splits, class_names = _npz(pathlib.Path(name))
    else:
        splits, class_names = _tensorflow_datasets(name, data_dir)
    _check_splits(splits, len(class_names), name)
    if "test" not in splits:
        splits["train"], splits["test"] = _stratified(splits["train"], TEST_FRACTION, TEST_SEED)
    if "validation" not in splits:
        splits["train"], splits["validation"] = _stratified(splits["train"], validation_fraction, seed)
    flips = splits["train"].images.shape[-1] == 3 and not WRITING.search(pathlib.Path(name).stem.lower())
    return Dataset(str(name), **splits, class_names=class_names, flips=flips)


def subset(dataset, share, seed=0):
    """The dataset with a part of its training examples; images are normalised as they were.

    Args:
      dataset: a `Dataset`.
      share: of the training examples of each class, in (0, 1]; 1 changes nothing.
      seed: which ones.

    Raises:
      ValueError: for a share out of range, or one that leaves a class without an example.
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of training examples must lie in (0, 1]. Received: {share!r}")
    if share == 1:
        return dataset
    _, train = _stratified(dataset.train, share, seed)
    _check_splits({"train": train}, dataset.num_classes, f"{share:g} of {dataset.name}")
    images = dataset.train.images if dataset.moments_of is None else dataset.moments_of
    return dataclasses.replace(dataset, train=train, moments_of=images)


def _check_splits(splits, num_classes, name):
    """Checks what every source must keep: the labels of all classes, images of one shape."""
    train = splits["train"]
    if num_classes < 2:
        raise ValueError(f"{name}: at least two classes are needed. Received: {num_classes}")
    classes = np.unique(train.labels)
    if not np.array_equal(classes, np.arange(num_classes)):
        missing = np.setdiff1d(np.arange(num_classes), classes)
        raise ValueError(
            f"{name}: the training labels must be 0 to {num_classes - 1}, all of them; there is no "
            f"example of class {missing[0]}. Received: labels {classes[0]} to {classes[-1]}"
        )
    for key, split in splits.items():
        if split.labels.min() < 0 or split.labels.max() >= num_classes:
            raise ValueError(
                f"{name}: the {key} labels must be classes of train, 0 to {num_classes - 1}. "
                f"Received: {split.labels.min()} to {split.labels.max()}"
            )
        if split.images.shape[1:] != train.images.shape[1:] or split.images.shape[-1] not in (1, 3):
            raise ValueError(
                f"{name}: all images must have one shape, with 1 or 3 channels. Received: "
                f"{train.images.shape[1:]} (train) and {split.images.shape[1:]} ({key})"
            )


def _stratified(split, fraction, seed):
    """Cuts a split in two, with the same share of each class in both parts."""
    from sklearn.model_selection import train_test_split

    try:
        rest, part = train_test_split(
            np.arange(len(split.labels)), test_size=fraction, random_state=seed, stratify=split.labels
        )
    except ValueError as error:
        raise ValueError(
            f"cannot set a stratified {fraction:g} of {len(split.labels)} examples aside: {error}"
        ) from error
    return split.take(np.sort(rest)), split.take(np.sort(part))


def _digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return {"train": Split(images, digits.target.astype(np.int64))}, tuple("0123456789")


def _npz(path):
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}: give the path of an .npz file")
    arrays = _read_npz(path)
    splits = {"train": _split(arrays, "train", path), "test": _split(arrays, "test", path)}
    if "x_val" in arrays or "y_val" in arrays:
        splits["validation"] = _split(arrays, "val", path)
    return splits, tuple(map(str, range(len(np.unique(splits["train"].labels)))))


def _read_npz(path):
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except TypeError as error:
        raise ValueError(f"{path}: holds one array, not an .npz archive of several") from error
    except ValueError as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise ValueError(
                f"{path}: holds pickled objects, which are never loaded: save plain uint8 and "
                f"integer arrays with numpy.savez"
            ) from error
        raise ValueError(f"{path}: cannot be read, is it truncated? ({error})") from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise ValueError(f"{path}: cannot be read, is it truncated? ({error})") from error


def _split(arrays, key, path):
    x_key, y_key = f"x_{key}", f"y_{key}"
    for needed in (x_key, y_key):
        if needed not in arrays:
            raise ValueError(
                f"{path}: has no array {needed!r}; x_train, y_train, x_test and y_test are needed. "
                f"Received: {sorted(arrays)}"
            )
    images, labels = arrays[x_key], arrays[y_key]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"{path}: {x_key} must be uint8 [n, height, width] or [n, height, width, channels]. "
            f"Received: {images.dtype} {list(images.shape)}"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
        raise ValueError(
            f"{path}: {y_key} must be integers [n]. Received: {labels.dtype} {list(labels.shape)}"
        )
    if len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"{path}: {x_key} and {y_key} must be equally long and not empty. "
            f"Received: {len(images)} and {len(labels)}"
        )
    return Split(images, labels.astype(np.int64))


def _tensorflow_datasets(name, data_dir):
    base, _, size = str(name).partition(":")
    builder = _builder(base, data_dir)
    image_key, label_key = _supervised_keys(builder, base)
    _prepare(builder, base)
    size = _size(builder.info.features[image_key].shape, size, base)
    splits = {
        split: _read_split(builder, split, image_key, label_key, size)
        for split in ("train", "validation", "test")
        if split in builder.info.splits
    }
    if "train" not in splits:
        raise ValueError(
            f"dataset {base!r} has no split 'train'. Received: splits {sorted(builder.info.splits)}"
        )
    return splits, tuple(builder.info.features[label_key].names)


def _builder(name, data_dir):
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        near = difflib.get_close_matches(name, tfds.list_builders(), n=5)
        hint = f"did you mean {', '.join(near)}?" if near else "as cifar10, mnist, svhn_cropped"
        raise ValueError(
            f"dataset must be 'digits', a path that ends in .npz, or an image classifier of "
            f"tensorflow-datasets ({hint}). Received: {name!r}"
        ) from error


def _supervised_keys(builder, name):
    import tensorflow_datasets as tfds

    features = dict(builder.info.features)
    keys = builder.info.supervised_keys or ("image", "label")
    image, label = (features.get(key) for key in keys[:2])
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise ValueError(
            f"dataset {name!r} is not an image classifier. Received: features {sorted(features)}"
        )
    return keys[:2]


def _prepare(builder, name):
    """Downloads the data if they are not there, but only from hosts that answer."""
    if builder.info.splits:
        return
    addresses = {_address(url) for url in builder.url_infos}
    if not addresses or not all(_answers(*address) for address in addresses):
        raise ConnectionError(
            f"dataset {name!r} is not in {builder.data_dir!r} and cannot be downloaded from here: "
            f"run tensorflow_datasets.load({name!r}, data_dir=...) on a machine with network, copy "
            f"the folder, and pass its data_dir; or pass an .npz file"
        )
    try:
        builder.download_and_prepare()
    except Exception as error:  # tensorflow-datasets raises bare Exceptions of many kinds
        raise ConnectionError(f"dataset {name!r} cannot be prepared: {error}") from error


def _address(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)


def _answers(host, port):
    """Whether a host takes a connection within `REACH_SECONDS`, name look-up included."""

    def connect():
        with contextlib.suppress(OSError):
            socket.create_connection((host, port), timeout=REACH_SECONDS).close()
            reached.set()

    reached = threading.Event()
    threading.Thread(target=connect, daemon=True).start()
    return reached.wait(REACH_SECONDS)


def _size(shape, size, name):
    """The size that images are resized to, or None where they keep theirs."""
    if not size:
        if None in shape[:2]:
            raise ValueError(
                f"the images of {name!r} have different sizes: say which one to resize them to, "
                f"as in '{name}:64'. Received: shape {shape}"
            )
        return None
    if not size.isdigit() or int(size) < 8:
        raise ValueError(f"the size after ':' must be a whole number >= 8. Received: '{name}:{size}'")
    return int(size)


def _read_split(builder, split, image_key, label_key, size):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def example(features):
        image = features[image_key]
        if size:
            image = tf.image.resize(image, (size, size), "area")
            image = tf.cast(tf.round(image), tf.uint8)
        return image, features[label_key]

    dataset = builder.as_dataset(split=split).map(example, num_parallel_calls=tf.data.AUTOTUNE)
    images, labels = zip(*tfds.as_numpy(dataset), strict=True)
    return Split(np.stack(images).astype(np.uint8), np.asarray(labels, np.int64))
