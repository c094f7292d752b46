"""What data, settings, versions and machine a result belongs to."""

import keras

import keras_kd
from keras_kd.utils import environment


def describe(dataset, settings):
    """What each result says beside its measurements: data, settings, versions, machine."""
    sizes = {split: len(getattr(dataset, split).labels) for split in ("train", "validation", "test")}
    bad = dataset.bad_images
    return {
        **({} if bad is None else {"bad_images": bad}),
        "seed": settings.seed,
        "settings": settings.as_dict(),
        "dataset": {
            **names(dataset.name, dataset.absolute_name),
            "fingerprint": dataset.fingerprint,
            "split_seed": dataset.split_seed,
            "examples": sizes,
            "image_shape": list(dataset.image_shape),
            "classes": dataset.num_classes,
        },
        "versions": {
            "python": environment.python_version(),
            "keras_kd": keras_kd.__version__,
            **environment.versions(keras.backend.backend(), "keras", "numpy"),
        },
        "machine": environment.machine(),
    }


def names(name, absolute_name):
    """A dataset's name as it was typed, and as it is understood in every folder where that is another."""
    return {"name": name} | ({} if absolute_name in (None, name) else {"absolute_name": absolute_name})
