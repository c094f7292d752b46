"""Small image folders."""

import dataclasses

import numpy as np
from PIL import Image

from keras_kd.data import Split
from tests.support.arrays import tiny_arrays


def write_image(image, path, **options):
    """Writes uint8 `[height, width]` or `[height, width, 3]`; the name's ending says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze()).save(path, **options)


def write_folder(folder, arrays=None, splits=("train", "test")):
    """`tiny_arrays` as PNG files, `FOLDER/SPLIT/classC/IIII.png`; returns the folder."""
    arrays = tiny_arrays(np.random.default_rng(0)) if arrays is None else arrays
    for split in splits:
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            write_image(image, folder / split / f"class{label}" / f"{place:04d}.png")
    return folder


def in_memory(dataset):
    """The same dataset as arrays."""
    splits = {
        name: Split(np.asarray(split.images), split.labels)
        for name in ("train", "validation", "test")
        for split in [getattr(dataset, name)]
    }
    return dataclasses.replace(dataset, **splits)
