"""Image classification data by name: `load(name)`.

Images stay uint8 `[n, height, width, channels]`, labels int64 `[n]`: arrays in memory, or files that are read
when they are asked for. Validation is a
stratified part of train that depends on `seed` alone, which is no training's: a network that was
trained under any seed has not seen it. Test depends on nothing.
"""

import dataclasses
import os
import pathlib
import re

import numpy as np

from keras_kd.data import image_cache, image_folder, npz, tfds
from keras_kd.data.dataset import Dataset, Split
from keras_kd.utils import limits, progress

DEFAULT = "digits"

TEST_FRACTION = 0.2  # where a dataset comes without a test split

TEST_SEED = 0


# A mirrored digit or letter is not the same class any more.
WRITING = re.compile(r"mnist|svhn|digits|alpha|omniglot|letters|characters|captcha")


def load(
    name=DEFAULT,
    *,
    validation_fraction=0.1,
    seed=0,
    data_dir=None,
    cache=None,
    cache_dir=None,
    skip_bad_images=False,
):
    """Loads a dataset.

    Args:
      name: "digits" (scikit-learn's 8x8 digits, always there), a path that ends in `.npz`
        (Keras's keys `x_train`, `y_train`, and `x_test`, `y_test`, `x_val`, `y_val` if present),
        the path of an image folder (`PATH/train/CLASS/*.jpg`, or `PATH/CLASS/*.jpg`), or the name of
        an image classifier of tensorflow-datasets, as `cifar10`. Images of different sizes need one to
        be resized to: `PATH:96` and `tf_flowers:96` make them 96x96.
      validation_fraction: share of train that becomes validation, in (0, 1); without effect
        where the data come with a validation split.
      seed: which part of train becomes validation; the same in every training that is compared.
      data_dir: where tensorflow-datasets keeps its data.
      cache: where decoded images are kept from the first time that they are read: "memory", "disk" or
        "none". None is "none" for folders and "memory" for tensorflow-datasets, whose images are otherwise
        read by their index; arrays are in memory anyway.
      cache_dir: folder of all caches on disk; None: "runs/image_cache".
      skip_bad_images: whether images of a folder that cannot be read are no error: another one of the same
        class stands in, and `Dataset.bad_images` lists them.

    Returns:
      A `Dataset`.

    Raises:
      ValueError: for an unknown name, or for data that cannot be used; the message says why.
      FileNotFoundError: if there is no such `.npz` or folder.
      ConnectionError: if a dataset has to be downloaded and its host does not answer.
    """
    if cache is not None:
        limits.check_choice("cache", cache, image_cache.CACHES)
    folder = None if str(name) == DEFAULT else image_folder.find(name)
    if folder is not None:
        source, positions, class_names = image_folder.read(*folder, skip_bad=skip_bad_images)
        splits = image_folder.as_splits(image_cache.cached(source, cache, cache_dir), positions)
        dataset = assemble(name, splits, class_names, validation_fraction=validation_fraction, seed=seed)
        image_folder.tell_shared(source, dataset)
        return dataclasses.replace(dataset, absolute_name=absolute_name(name))
    if str(name).partition(":")[0].lower() == DEFAULT:
        _check_digits(name)
        splits, class_names = _digits()
    elif str(name).endswith(".npz"):
        splits, class_names = npz.read(pathlib.Path(name))
    else:
        splits, class_names = tfds.read(name, data_dir, cache, cache_dir)
    dataset = assemble(name, splits, class_names, validation_fraction=validation_fraction, seed=seed)
    return dataclasses.replace(dataset, resizing=resizing_of(name), absolute_name=absolute_name(name))


def assemble(name, splits, class_names, *, validation_fraction=0.1, seed=0, flips=None):
    """The `Dataset` of splits; test and validation are cut off train where they are missing.

    Args:
      name: of the dataset.
      splits: `{split: Split}`, "train" at least; changed in place.
      class_names: one string per class.
      validation_fraction, seed: as for `load`.
      flips: whether a mirrored image shows the same class; None: by its channels and the dataset's name.

    Raises:
      ValueError: for data that cannot be used; the message says why.
    """
    limits.VALIDATION_FRACTION.check("validation_fraction", validation_fraction)
    limits.SEED.check("seed", seed)
    check_splits(splits, len(class_names), name)
    if "test" not in splits:
        splits["train"], splits["test"] = _stratified(splits["train"], TEST_FRACTION, TEST_SEED)
        if name != DEFAULT:
            progress.say(
                f"{name} has no test split: {len(splits['test'].labels)} of its training examples are set "
                f"aside as such, the same for every seed"
            )
    if "validation" not in splits:
        splits["train"], splits["validation"] = _stratified(splits["train"], validation_fraction, seed)
    if flips is None:
        is_writing = WRITING.search(pathlib.Path(name).stem.lower())
        flips = splits["train"].images.shape[-1] == 3 and not is_writing
    return Dataset(str(name), **splits, class_names=class_names, flips=flips, split_seed=seed)


def is_of_tfds(name):
    """Whether a name is no other dataset's, and so one of tensorflow-datasets; these are not asked."""
    is_other = str(name).partition(":")[0].lower() == DEFAULT or str(name).endswith(".npz")
    return not is_other and image_folder.find(name) is None


def resizing_of(name):
    """How images of a dataset of that name are made one size, see `image_decoding.read`."""
    return "whole" if ":" in str(name) and is_of_tfds(name) else "centre"


def is_path(name):
    """Whether a folder of images or an `.npz` file is there under a dataset's name."""
    try:
        return image_folder.find(name) is not None or pathlib.Path(name).is_file()
    except FileNotFoundError:
        return False


def absolute_name(name):
    """A dataset's name as it is understood in every folder: paths become absolute ones."""
    name = os.fspath(name)
    folder = None if name == DEFAULT else image_folder.find(name)
    if folder is not None:
        path, size = folder
        return f"{path.absolute()}:{size}" if size else str(path.absolute())
    return str(pathlib.Path(name).absolute()) if name.endswith(".npz") else name


def subset(dataset, share, seed=0):
    """The dataset with a part of its training examples; images are normalised as they were.

    Args:
      dataset: a `Dataset`.
      share: of the training examples of each class, in (0, 1]; 1 changes nothing.
      seed: which ones.

    Raises:
      ValueError: for a share out of range, or one that leaves a class without an example.
    """
    limits.TRAINING_SHARE.check("the share of training examples", share)
    if share == 1:
        return dataset
    _, train = _stratified(dataset.train, share, seed)
    check_splits({"train": train}, dataset.num_classes, f"{share:g} of {dataset.name}")
    images = dataset.train.images if dataset.moments_of is None else dataset.moments_of
    return dataclasses.replace(dataset, train=train, moments_of=images)


def check_splits(splits, num_classes, name):
    """Checks what every source must keep: the labels of all classes, images of one shape."""
    train = splits["train"]
    if num_classes < 2:
        raise ValueError(f"{name}: at least two classes are needed. Received: {num_classes}")
    if any(split.labels.ndim > 1 for split in splits.values()):
        _check_decisions(splits, num_classes, name)
    else:
        _check_classes(train.labels, num_classes, name)
    for key, split in splits.items():
        if split.labels.min() < 0 or split.labels.max() >= num_classes:
            raise ValueError(
                f"{name}: the {key} labels must be classes of train, 0 to {num_classes - 1}. "
                f"Received: {split.labels.min()} to {split.labels.max()}"
            )
        shape = split.images.shape
        if shape[-1] not in (1, 3) and shape[1] in (1, 3):
            raise ValueError(
                f"{name}: the {key} images have their channels first; save them as [n, height, width, "
                f"channels], with numpy.moveaxis(images, 1, -1). Received: {list(shape)}"
            )
        if split.images.shape[1:] != train.images.shape[1:] or split.images.shape[-1] not in (1, 3):
            raise ValueError(
                f"{name}: all images must have one shape, with 1 or 3 channels. Received: "
                f"{train.images.shape[1:]} (train) and {split.images.shape[1:]} ({key})"
            )


def _check_classes(labels, num_classes, name):
    """Checks that training labels are the numbers of all classes."""
    classes = np.unique(labels)
    if np.array_equal(classes, np.arange(num_classes)):
        return
    missing = np.setdiff1d(np.arange(num_classes), classes)
    why = f"as there are {num_classes} classes: name them all, and count from 0"
    if missing.size:
        why = f"all of them; there is no example of class {missing[0]}"
    raise ValueError(
        f"{name}: the training labels must be 0 to {num_classes - 1}, {why}. "
        f"Received: labels {classes[0]} to {classes[-1]}"
    )


def _check_decisions(splits, num_classes, name):
    """Checks labels that say yes or no of each class."""
    for key, split in splits.items():
        if split.labels.shape[1:] != (num_classes,) or not np.isin(split.labels, (0, 1)).all():
            raise ValueError(
                f"{name}: the {key} labels must be integers [n], or 0 and 1 [n, classes], alike in all "
                f"splits. Received: {list(split.labels.shape)}, {split.labels.min()} to {split.labels.max()}"
            )
    if all(np.all(split.labels.sum(axis=1) == 1) for split in splits.values()):
        raise ValueError(
            f"{name}: the labels are one-hot, one class for each image: save them as integers [n], "
            f"labels.argmax(axis=1). Received: {list(splits['train'].labels.shape)}, one 1 in each row"
        )
    share = splits["train"].labels.mean(axis=0)
    if np.any((share == 0) | (share == 1)):
        alike = int(np.argmax((share == 0) | (share == 1)))
        raise ValueError(
            f"{name}: the training labels must say both yes and no of each class. "
            f"Received: {int(share[alike])} for class {alike} in all examples"
        )


def _stratified(split, fraction, seed):
    """Cuts a split in two, with the same share of each class in both parts where an image has one class."""
    from sklearn.model_selection import train_test_split

    alike = split.labels if split.labels.ndim == 1 else None
    try:
        rest, part = train_test_split(
            np.arange(len(split.labels)), test_size=fraction, random_state=seed, stratify=alike
        )
    except ValueError as error:
        raise ValueError(
            f"cannot set a stratified {fraction:g} of {len(split.labels)} examples aside: {error}"
        ) from error
    return split.take(np.sort(rest)), split.take(np.sort(part))


def _check_digits(name):
    if name != DEFAULT:
        what = "have one size, 8x8" if ":" in name else "are written in small letters"
        raise ValueError(f"the {DEFAULT} {what}: give {DEFAULT!r}. Received: {name!r}")


def _digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return {"train": Split(images, digits.target.astype(np.int64))}, tuple("0123456789")
