"""Every Python block of README.md and docs/ runs as it stands, on few images."""

import dataclasses
import pathlib

import numpy as np
import pytest

from tests.support import snippets
from tests.support.arrays import tiny_arrays
from tests.support.processes import ROOT

# These take more than about 2 s: most of it is tracing, and converting to LiteRT and ONNX.
SLOW = {
    "README.md",
    "docs/landscape.md",
    "docs/methods.md",
    "docs/reuse.md",
    "docs/distill.md",
    "docs/export.md",
    "docs/faq.md",
    "docs/index.md",
    "docs/shortcut-removal.md",
    "docs/teacher-cache.md",
    "docs/train.md",
    "docs/tutorials/no-shortcuts.md",
    "docs/your-images.md",
}
PAGES = {
    str(path.relative_to(ROOT)): found
    for path in snippets.PAGES
    if (found := snippets.blocks(path, "python"))
}


@pytest.fixture
def names(monkeypatch, tmp_path):
    """What the pages take for granted, in an empty folder; registries are given back."""
    import keras

    from keras_kd import data, losses, models
    from keras_kd.data import augmentation

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "load", snippets.few_digits(data.load))
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", _few_photographs)
    monkeypatch.setattr(losses, "NAMES", dict(losses.NAMES))
    monkeypatch.setattr(augmentation, "AUGMENTATIONS", dict(augmentation.AUGMENTATIONS))
    monkeypatch.setattr(models.registry, "BUILDERS", dict(models.registry.BUILDERS))
    keras.utils.set_random_seed(0)
    return snippets.Names()


def _few_photographs():
    """As `keras.datasets.cifar10.load_data` returns them: labels are columns."""
    arrays = tiny_arrays(np.random.default_rng(0))
    return tuple((arrays[f"x_{split}"], arrays[f"y_{split}"][:, None]) for split in ("train", "test"))


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow) if page in SLOW else page for page in PAGES]
)
def test_blocks_run_as_they_stand(page, names, monkeypatch):
    if page == "docs/your-images.md":
        own = cats_and_dogs(names, monkeypatch)
    namespace = names.of("\n".join(code for _, code in PAGES[page]))
    if page == "docs/your-images.md":
        namespace |= own
    if page == "docs/distill.md":
        snippets.export_saved_model(names.student, names.dataset)
        namespace["images"] = names.dataset.test.images
    if page == "docs/export.md":
        snippets.export_files(names.student, names.dataset)
    if page in ("docs/shortcut-removal.md", "docs/teacher-cache.md"):
        namespace["teacher"] = snippets.nearest_mean(names.dataset)  # one at chance is refused
    for line, code in PAGES[page]:
        exec(compile("\n" * (line - 1) + code, page, "exec"), namespace)


def cats_and_dogs(names, monkeypatch):
    """Dark cats and bright dogs, in all forms, and a network in place of ResNet50 that knows them at once."""
    import keras
    import tensorflow as tf

    arrays = tiny_arrays(np.random.default_rng(0), train=200, classes=2)
    np.savez("pets.npz", **arrays)
    pets = names.dataset = dataclasses.replace(names.load("pets.npz"), class_names=("cat", "dog"))
    for number, image in enumerate(arrays["x_train"][:40]):
        path = pathlib.Path("photos", "train", pets.class_names[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(path, image, scale=False)

    def resnet50():
        """From pixels as ResNet50 takes them, BGR minus ImageNet's means, to 1000 probabilities."""
        inputs = keras.Input(pets.image_shape)
        head = keras.layers.Dense(1000, "softmax")
        model = keras.Model(inputs, head(keras.layers.GlobalAveragePooling2D()(inputs)), name="resnet50")
        kernel, bias = np.zeros((3, 1000)), np.full(1000, -99.0)
        kernel[:, 281], kernel[:, 207] = -0.1, 0.1
        middle = 3 * pets.train.images.mean() - (103.939 + 116.779 + 123.68)
        bias[281], bias[207] = 0.1 * middle, -0.1 * middle
        head.set_weights([kernel, bias])
        return model

    monkeypatch.setattr(keras.applications, "ResNet50", resnet50)
    streams = {
        f"{split}_ds": tf.data.Dataset.from_tensor_slices((arrays[f"x_{split}"], arrays[f"y_{split}"])).batch(
            32
        )
        for split in ("train", "test")
    }
    return arrays | streams


def test_there_are_pages_with_blocks():
    assert set(PAGES) >= SLOW | {"docs/faq.md", "docs/results-search.md"}
