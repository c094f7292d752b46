"""The blocks of README.md and docs/, and what a page takes for granted where they begin."""

import dataclasses
import pathlib
import re

from tests.support.processes import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def blocks(path, *languages):
    """`[(line, text)]` of the fenced blocks of a page in these languages."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.finditer(rf"^( *)```({'|'.join(languages)})\n(.*?)^ *```$", text, re.M | re.S)
    return [
        (text.count("\n", 0, each.start()) + 2, re.sub(f"^{each[1]}", "", each[3], flags=re.M))
        for each in found
    ]


def few_digits(load):
    """`keras_kd.data.load`, whose digits have so few images that an epoch takes no time."""
    from keras_kd.data import subset

    def loaded(name, **options):
        dataset = load(name, **options)
        if name != "digits":
            return dataset
        test = dataset.test._replace(images=dataset.test.images[:48], labels=dataset.test.labels[:48])
        return dataclasses.replace(subset(dataset, 0.11), test=test)

    return loaded


class Names:
    """What pages call `teacher`, `dataset`, `images` and so on, made when asked for."""

    def __init__(self):
        import keras_kd

        self._keras_kd = keras_kd
        self.load = keras_kd.data.load
        self.dataset = self.load("digits")

    def of(self, code):
        """`{name: value}` of all names that some code speaks of."""
        names = [name for name in dir(type(self)) if not name.startswith("_") and name != "of"]
        spoken = {name: getattr(self, name) for name in names if re.search(rf"\b{name}\b", code)}
        return {"keras_kd": self._keras_kd, "dataset": self.dataset} | spoken

    def _network(self, depth=8, **options):
        data = self.dataset
        return self._keras_kd.cifar_resnet(depth, data.image_shape, data.num_classes, width=4, **options)

    @property
    def keras(self):
        import keras

        return keras

    @property
    def settings(self):
        return self._keras_kd.training.Settings(epochs=1, batch_size=128)

    teacher = first = second = third = property(lambda self: self._network())
    model = other = property(lambda self: self._network(14))
    student = property(lambda self: self._network(shortcuts=False))
    layers = property(lambda self: ["stage1_block1_out", "stage3_block1_out"])
    images = x_train = property(lambda self: self.dataset.train.images / 255)
    labels = y_train = property(lambda self: self.dataset.train.labels)
    x_test = property(lambda self: self.dataset.test.images / 255)
    y_test = property(lambda self: self.dataset.test.labels)


def nearest_mean(dataset):
    """A teacher of normalised images that knows them without training: the nearest mean image wins."""
    import keras
    import numpy as np

    x = (dataset.train.images / 255 - dataset.mean) / dataset.std
    classes = range(dataset.num_classes)
    means = np.stack([x[dataset.train.labels == each].mean(axis=0).ravel() for each in classes])
    inputs = keras.Input(dataset.image_shape)
    dense = keras.layers.Dense(len(means))
    model = keras.Model(inputs, dense(keras.layers.Flatten()(inputs)))
    dense.set_weights([2 * means.T, -np.sum(means**2, axis=1)])
    return model


def export_saved_model(student, dataset):
    """What docs/distill.md takes from the default run."""
    from keras_kd import export

    export.export_saved_model(student, pathlib.Path("runs", "distill-digits", "saved_model"), dataset=dataset)


def export_files(student, dataset):
    """What docs/export.md takes from it."""
    import numpy as np

    from keras_kd.export import litert, onnx

    folder = pathlib.Path("runs", "distill-digits", "exported", "student_fade")
    folder.mkdir(parents=True)
    litert.to_litert(student, folder / "model-full_integer.tflite", dataset=dataset, kind="full_integer")
    onnx.to_onnx(student, folder / "model.onnx", dataset=dataset)
    np.save("images.npy", dataset.test.images)
