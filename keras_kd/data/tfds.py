"""Image classifiers of tensorflow-datasets; a download is begun only from hosts that answer."""

import contextlib
import difflib
import socket
import threading
import urllib.parse

import numpy as np

from keras_kd.data import image_cache, tfds_records
from keras_kd.data.dataset import Split
from keras_kd.data.lazy_images import LazyImages

REACH_SECONDS = 3.0


def is_by_index(cache):
    """Whether images are read by their index, and not all into memory.

    What they are known by and normalised with then differs: see `dataset.Dataset`.
    """
    return cache in ("none", "disk")


def read(name, data_dir, cache=None, cache_dir=None):
    """`(splits, class names)` of a dataset, `NAME` or `NAME:SIZE`.

    Args:
      name: of the dataset.
      data_dir: where tensorflow-datasets keeps its data.
      cache: None or "memory": all images are in memory; "none" or "disk": they are read by their index, and
        kept on disk or not.
      cache_dir: see `image_cache.cached`.

    Raises:
      ValueError: for an unknown name, or one that is no image classifier.
      ConnectionError: if it has to be downloaded and its host does not answer.
    """
    base, _, size = str(name).partition(":")
    builder = _builder(base, data_dir)
    image_key, label_key = _supervised_keys(builder, base)
    if is_by_index(cache) and not builder.info.splits:
        builder = _builder(base, data_dir, file_format="array_record")
    _prepare(builder, base)
    size = _size(builder.info.features[image_key].shape, size, base)

    def read_split(split):
        arguments = (builder, split, image_key, label_key, size)
        is_in_memory = not is_by_index(cache)
        if is_in_memory and builder.info.file_format.value != "array_record":  # which no tf.data reads
            return _read_split(*arguments)
        source = tfds_records.Records(*arguments)
        images = LazyImages(source if is_in_memory else image_cache.cached(source, cache, cache_dir))
        return Split(np.asarray(images) if is_in_memory else images, source.labels)

    splits = {
        split: read_split(split) for split in ("train", "validation", "test") if split in builder.info.splits
    }
    if "train" not in splits:
        raise ValueError(
            f"dataset {base!r} has no split 'train'. Received: splits {sorted(builder.info.splits)}"
        )
    return splits, tuple(builder.info.features[label_key].names)


def _builder(name, data_dir, **options):
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False, **options)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        near = difflib.get_close_matches(name.lower(), ["digits", *tfds.list_builders()], n=5)
        hint = f"did you mean {', '.join(near)}?" if near else "as cifar10, mnist, svhn_cropped"
        raise ValueError(
            f"dataset must be 'digits', a path that ends in .npz, an image folder, or an image classifier "
            f"of tensorflow-datasets ({hint}). Received: {name!r}"
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
    addresses = {_address(url) for url in builder.url_infos or ()}
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
        return tfds_records.resized(features[image_key], size), features[label_key]

    dataset = builder.as_dataset(split=split).map(example, num_parallel_calls=tf.data.AUTOTUNE)
    images, labels = zip(*tfds.as_numpy(dataset), strict=True)
    return Split(np.stack(images).astype(np.uint8), np.asarray(labels, np.int64))
