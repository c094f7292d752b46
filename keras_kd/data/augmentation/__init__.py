"""Augmentations: random transformations of training images, each one class in one file.

augmentation.parse("resized_crop:scale=0.5+flip+randaugment")
"""

import dataclasses
import re

from keras_kd.data.augmentation.base import Augmentation, NoAugmentation, normalise
from keras_kd.data.augmentation.color_jitter import ColorJitter
from keras_kd.data.augmentation.crop_flip import Crop, CropFlip
from keras_kd.data.augmentation.flip import Flip
from keras_kd.data.augmentation.randaugment import RandAugment
from keras_kd.data.augmentation.random_erasing import RandomErasing
from keras_kd.data.augmentation.resized_crop import ResizedCrop
from keras_kd.data.augmentation.sums import Sum
from keras_kd.utils import specs

AUTO = "auto"  # one of them, chosen by the dataset

# By name.
AUGMENTATIONS = {
    each.name: each
    for each in (
        NoAugmentation,
        Crop,
        CropFlip,
        Flip,
        ResizedCrop,
        ColorJitter,
        RandAugment,
        RandomErasing,
    )
}

__all__ = [
    "AUGMENTATIONS",
    "AUTO",
    "Augmentation",
    "Crop",
    "CropFlip",
    "NoAugmentation",
    "Sum",
    "make",
    "normalise",
    "parse",
]


def make(spec, dataset):
    """The `Augmentation` of a spec.

    Args:
      spec: as for `parse`; "auto" is "crop_flip" where a mirrored image shows the same class, else "crop".
      dataset: a `keras_kd.data.Dataset`.

    Raises:
      ValueError: as `parse`.
    """
    return parse(spec, "crop_flip" if dataset.flips else "crop")


def parse(spec, auto="crop_flip"):
    """The `Augmentation` of a spec.

    Args:
      spec: names of `AUGMENTATIONS` with "+" between them, each with options: "crop_flip",
        "resized_crop:scale=0.5+flip".
      auto: what "auto" is among them.

    Raises:
      ValueError: for an unknown name or option, or a value out of range.
    """
    parts = re.split(r"\+(?=[A-Za-z])", str(spec))
    parts = [_part(auto if part == AUTO else part) for part in parts]
    return parts[0] if len(parts) == 1 else Sum(tuple(parts))


def _part(text):
    name, options = specs.parse("augmentation", text)
    kind = specs.find("augmentation", name, AUGMENTATIONS)
    specs.check_options("augmentation", name, options, [each.name for each in dataclasses.fields(kind)])
    return kind(**options)
