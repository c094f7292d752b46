"""Augmentations: random transformations of training images, each one class in one file."""

from keras_kd.data.augmentation.base import Augmentation, NoAugmentation, normalise
from keras_kd.data.augmentation.crop_flip import Crop, CropFlip

# By name; "auto" is one of them, chosen by the dataset.
AUGMENTATIONS = {each.name: each for each in (NoAugmentation, Crop, CropFlip)}
NAMES = ("auto", *AUGMENTATIONS)

__all__ = [
    "AUGMENTATIONS",
    "NAMES",
    "Augmentation",
    "Crop",
    "CropFlip",
    "NoAugmentation",
    "make",
    "normalise",
]


def make(name, dataset):
    """The `Augmentation` of a name.

    Args:
      name: one of `NAMES`; "auto" is "crop_flip" where a mirrored image shows the same class, else "crop".
      dataset: a `keras_kd.data.Dataset`.

    Raises:
      ValueError: for an unknown name.
    """
    if name not in NAMES:
        raise ValueError(f"augmentation must be one of {NAMES}. Received: augmentation={name!r}")
    if name == "auto":
        name = "crop_flip" if dataset.flips else "crop"
    return AUGMENTATIONS[name]()
