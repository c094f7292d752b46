"""Datasets in `.npz` files with Keras's keys: `x_train`, `y_train`, `x_test`, `y_test`, `x_val`, `y_val`.

Only these are read: whatever else a file holds is left alone, objects included.
"""

import numpy as np

from keras_kd.data.dataset import Split
from keras_kd.utils import files


def read(path):
    """`(splits, class names)` of a file.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is damaged, holds pickled objects, or lacks an array.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}: give the path of an .npz file")
    arrays = _read_npz(path)
    splits = {"train": _split(arrays, "train", path)}
    for split, key in (("test", "test"), ("validation", "val")):
        if arrays.keys() & {f"x_{key}", f"y_{key}"}:
            splits[split] = _split(arrays, key, path)
    return splits, tuple(map(str, range(len(np.unique(splits["train"].labels)))))


_KEYS = ("x_train", "y_train", "x_test", "y_test", "x_val", "y_val")


def _read_npz(path):
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                raise ValueError("it holds one array, not an .npz archive of several")
            files.check_archive(path)
            return {key: stored[key] for key in stored.files if key in _KEYS}
    except MemoryError as error:
        raise ValueError(f"{path}: does not fit into memory ({error})") from error
    except ValueError as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise ValueError(
                f"{path}: holds pickled objects, which are never loaded: save plain uint8 and "
                f"integer arrays with numpy.savez"
            ) from error
        raise ValueError(f"{path}: cannot be read, is it truncated? ({error})") from error
    except Exception as error:  # whatever the readers of a damaged file stumble over
        raise ValueError(f"{path}: cannot be read, is it truncated? ({error!r})") from error


def _split(arrays, key, path):
    x_key, y_key = f"x_{key}", f"y_{key}"
    for needed in (x_key, y_key):
        if needed not in arrays:
            raise ValueError(
                f"{path}: has no array {needed!r}; x_train and y_train are needed, and x_test and y_test, "
                f"x_val and y_val in pairs. Received: {sorted(arrays)} of these"
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
