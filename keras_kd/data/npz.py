"""Datasets in `.npz` files with Keras's keys: `x_train`, `y_train`, `x_test`, `y_test`, `x_val`, `y_val`.

Only these are read: whatever else a file holds is left alone, objects included. Images that would take too
much of the memory stay in the file.
"""

import struct
import zipfile

import numpy as np

from keras_kd.data.dataset import Split
from keras_kd.data.lazy_images import LazyImages
from keras_kd.data.row_files import RowFile
from keras_kd.utils import files, limits

# The largest share of this machine's memory that images may take.
IN_MEMORY = 0.5


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
    labels = splits["train"].labels
    classes = labels.shape[1] if labels.ndim > 1 else len(np.unique(labels))
    return splits, tuple(map(str, range(classes)))


_KEYS = ("x_train", "y_train", "x_test", "y_test", "x_val", "y_val")


def _read_npz(path):
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                raise ValueError("it holds one array, not an .npz archive of several")
            files.check_archive(path)
            keys = [key for key in stored.files if key in _KEYS]
            labels = {key: stored[key] for key in keys if key.startswith("y_")}
            if _fits(path, keys):
                return labels | {key: stored[key] for key in keys if key.startswith("x_")}
            return labels | {key: _in_file(path, key, labels) for key in keys if key.startswith("x_")}
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


def _fits(path, keys):
    with zipfile.ZipFile(path) as archive:
        size = sum(archive.getinfo(f"{key}.npy").file_size for key in keys)
    memory = limits.memory_size()
    return memory is None or size <= IN_MEMORY * memory


def _in_file(path, key, labels):
    """An array of images, read when it is indexed."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{key}.npy")
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, is_fortran, dtype = read[version](member)
            header = member.tell()
    if (
        info.compress_type != zipfile.ZIP_STORED
        or is_fortran
        or dtype != np.uint8
        or len(shape) not in (3, 4)
    ):
        raise MemoryError(
            f"{key} is read from the file piece by piece if it is uint8 and was saved by numpy.savez, which "
            f"does not compress"
        )
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)  # of a zip file's local header, where its two lengths stand
        names, extra = struct.unpack("<HH", file.read(4))
    offset = info.header_offset + 30 + names + extra + header
    labels = labels.get(key.replace("x_", "y_"), np.zeros(shape[0], np.int64))
    return LazyImages(RowFile(path, offset, (*shape[1:], 1)[:3], labels), np.arange(shape[0]))


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
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim not in (1, 2):
        raise ValueError(
            f"{path}: {y_key} must be integers [n], or 0 and 1 [n, classes]. "
            f"Received: {labels.dtype} {list(labels.shape)}"
        )
    if len(images) != len(labels) or not len(labels):
        raise ValueError(
            f"{path}: {x_key} and {y_key} must be equally long and not empty. "
            f"Received: {len(images)} and {len(labels)}"
        )
    return Split(images, labels.astype(np.int64))
