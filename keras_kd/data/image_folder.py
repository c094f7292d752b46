"""Image folders: `ROOT/train/CLASS/*.jpg` with `val` or `validation`, and `test`; or `ROOT/CLASS/*.jpg`.

Files are named when the folder is read and opened when their images are asked for.
"""

import os
import pathlib

import numpy as np

from keras_kd.data import image_decoding
from keras_kd.data.dataset import Split
from keras_kd.data.image_decoding import shown
from keras_kd.data.image_files import ImageFiles
from keras_kd.data.lazy_images import BadImageError, LazyImages
from keras_kd.utils import checks, limits, progress

SIZE = limits.whole(image_decoding.SMALLEST_SIDE, 4096, about="to which images are resized")

_SPLITS = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}

# What others call splits: in small letters.
_LIKE_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "eval"}


def find(name):
    """`(path, size)` if a dataset's name, `PATH` or `PATH:SIZE`, is that of an image folder, else None.

    A word without a slash means a folder only if that has images in it, for it may be a name of
    tensorflow-datasets.

    Raises:
      FileNotFoundError: for a path that begins like one, with no folder there.
      ValueError: for a size that is none.
    """
    name = os.fspath(name)
    path, size = os.path.expanduser(name), ""
    if ":" in name and not os.path.isdir(path):
        path, _, size = path.rpartition(":")
    if name.endswith(".npz"):
        return None
    if not os.path.isdir(path):
        if name.startswith(("/", "./", "../", "~")):
            raise FileNotFoundError(f"there is no folder {shown(name)!r}: give that of an image folder")
        return None
    path = pathlib.Path(path)
    if "/" not in name and os.sep not in name and name not in (".", "..") and not _has_images(path):
        return None
    if not size and not name.endswith(":"):
        return path, None
    if not size.isdecimal():
        raise ValueError(f"the size after ':' must be a whole number, as in 'photos:96'. Received: {name!r}")
    return path, SIZE.check("size", int(size))


def _has_images(path):
    """Whether some class, of train where there are splits, has an image, however deep."""
    inside = _folders_of_splits(path)["train"]
    classes = (os.fspath(inside / name) for name in _folders(inside))
    with progress.silence():
        return any(True for folder in classes for _ in _files(folder, "", {}, (_place(inside),)))


def read(path, size=None, *, skip_bad=False):
    """`(source, splits, class names)` of a folder.

    Args:
      path: of the folder.
      size: side of the images, see `image_decoding.read`; None: all have one size.
      skip_bad: whether images that cannot be read are done without and listed in `source.bad`.

    Returns:
      An `ImageFiles`, `{split: positions}`, and names of the classes: of the folders, in order.

    Raises:
      ValueError: for a folder without classes, a class without images, splits with other classes than train
        or names that are not read, files that cannot be images, or links that lead back; one line that names
        the file.
    """
    bad = {} if skip_bad else None
    found = _folders_of_splits(path)
    _check_split_names(path, found)
    files, labels, splits = [], [], {}
    class_names = _classes(found["train"])
    for split, folder in found.items():
        _check_classes(folder, class_names, found["train"])
        first, around = len(files), (_place(path), _place(folder))
        for label, name in enumerate(class_names):
            relative = os.fspath((folder / name).relative_to(path))
            of_class = list(_files(os.fspath(folder / name), relative, bad, around))
            if not of_class:
                raise ValueError(
                    f"{shown(folder / name)} has no image ({', '.join(image_decoding.SUFFIXES)}): "
                    f"put some there, or take the folder away"
                )
            files += of_class
            labels += [label] * len(of_class)
        splits[split] = np.arange(first, len(files))
    source = ImageFiles(path, files, np.array(labels, np.int64), size, bad)
    return source, splits, class_names


def _folders_of_splits(path):
    """`{split: folder}`; train alone where the classes are not in folders of splits.

    A folder `train` without folders in it is a class, of railways.
    """
    if not (path / "train").is_dir() or not _folders(path / "train"):
        return {"train": path}
    found = {}
    for split, names in _SPLITS.items():
        there = [path / name for name in names if (path / name).is_dir()]
        if len(there) > 1:
            raise ValueError(f"{shown(path)} has both {names[0]} and {names[1]}: one is needed")
        if there:
            found[split] = there[0]
    return found


def _check_split_names(path, found):
    """Raises a ValueError for folders that look like splits and are read as none.

    One that does so among classes is a class.
    """
    read, names = {_place(folder) for folder in found.values()}, _folders(path)
    unread = [name for name in names if name.lower() in _LIKE_SPLITS and _place(path / name) not in read]
    if unread and (found["train"] != path or unread == names):
        raise ValueError(
            f"{shown(path)} has splits that are not read: {', '.join(map(shown, unread))}. Splits are called "
            f"train, val (or validation) and test, with a folder for each class in them: rename or move these"
        )


def _classes(folder):
    names = _folders(folder)
    if len(names) < 2:
        raise ValueError(
            f"{shown(folder)} must have a folder for each class, at least two. Received: "
            f"{', '.join(map(shown, names)) or 'none'}"
        )
    for name in names:
        checks.check_line(name, f"the name of a class in {shown(folder)}")
    return tuple(names)


def _folders(folder):
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())


def _check_classes(folder, class_names, of_train):
    names = _classes(folder)
    if names == class_names:
        return
    other = sorted(set(names) ^ set(class_names))[0]
    having, lacking = (folder, of_train) if other in names else (of_train, folder)
    raise ValueError(
        f"{shown(lacking)} has no class {shown(other)!r}, which is in {shown(having)}: all splits need the "
        f"same class folders"
    )


def _place(folder):
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _files(folder, name, bad, around):
    """`(name, bytes, time of change in ns)` of the images in a folder and those inside, in order.

    Args:
      folder: its path, as text.
      name: the same, relative to the root.
      bad: see `read`.
      around: places of the folders around it.
    """
    try:
        here = _place(folder)
        with os.scandir(folder) as entries:
            entries = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        _note(bad, folder, f"cannot be opened ({error.strerror})")
        return
    if here in around:
        _note(bad, folder, "is a link that leads back to a folder around it")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        below = os.path.join(name, entry.name)
        try:
            if entry.is_dir():
                yield from _files(entry.path, below, bad, (*around, here))
            elif image_decoding.is_image(entry.name):
                status = entry.stat()
                if status.st_size:
                    yield below, status.st_size, status.st_mtime_ns
                else:
                    _note(bad, entry.path, "is empty")
        except OSError as error:
            _note(bad, entry.path, f"cannot be opened ({error.strerror})")


def _note(bad, path, reason):
    if bad is None:
        raise BadImageError(shown(path), reason)
    bad[shown(path)] = reason
    progress.say(f"{shown(path)} {reason}: it is left out")


def as_splits(source, splits):
    """`{split: Split}` of positions in a source."""
    return {split: Split(LazyImages(source, index), source.labels[index]) for split, index in splits.items()}


def tell_shared(source, dataset):
    """Prints how many images of validation and test are in train too.

    Args:
      source: an `ImageFiles`.
      dataset: a `Dataset` of its images.
    """
    for split in ("validation", "test"):
        found = source.shared(getattr(dataset, split).images.index, dataset.train.images.index)
        if found:
            one, other = (shown(source.path(position)) for position in found[0])
            progress.say(
                f"{len(found)} images of {split} are in train too, such as {one} and {other}: what is "
                f"measured on them looks better than it is"
            )
