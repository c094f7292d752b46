"""Augmentations: random transformations of training images, each one class in one file.

augmentation.parse("resized_crop:scale=0.5+flip+randaugment")
"""

import dataclasses
import re

from keras_kd.data.augmentation.base import Augmentation, NoAugmentation, normalise
from keras_kd.data.augmentation.color_jitter import ColorJitter
from keras_kd.data.augmentation.crop_flip import Crop, CropFlip
from keras_kd.data.augmentation.cutmix import CutMix
from keras_kd.data.augmentation.flip import Flip
from keras_kd.data.augmentation.mixing import Mixed
from keras_kd.data.augmentation.mixup import MixUp
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

# What comes last, and mixes images with others.
MIXINGS = {each.name: each for each in (MixUp, CutMix)}

__all__ = [
    "AUGMENTATIONS",
    "AUTO",
    "MIXINGS",
    "Augmentation",
    "Crop",
    "CropFlip",
    "Mixed",
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
      spec: names of `AUGMENTATIONS`, then of `MIXINGS`, with "+" between them, each with options:
        "crop_flip", "resized_crop:scale=0.5+flip+mixup".
      auto: what "auto" is among them.

    Raises:
      ValueError: for an unknown name or option, a value out of range, or a mixing that is not last.
    """
    parts = re.split(r"\+(?=[A-Za-z])", str(spec))
    parts = [_part(auto if part == AUTO else part) for part in parts]
    mixings = tuple(part for part in parts if part.name in MIXINGS)
    own = tuple(part for part in parts if part.name not in MIXINGS)
    if parts != [*own, *mixings]:
        raise ValueError(f"{mixings[0].name} comes after what moves or colours images. Received: {spec!r}")
    base = Sum(own) if len(own) > 1 else own[0] if own else NoAugmentation()
    return Mixed(base, mixings) if mixings else base


def _part(text):
    name, options = specs.parse("augmentation", text)
    kind = specs.find("augmentation", name, AUGMENTATIONS | MIXINGS)
    specs.check_options("augmentation", name, options, [each.name for each in dataclasses.fields(kind)])
    return kind(**options)
