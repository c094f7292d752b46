"""Knowledge distillation seen through residual networks.

    import keras_kd

    teacher = keras_kd.cifar_resnet(20)
    student = keras_kd.cifar_resnet(32, shortcuts=False)
    distiller = keras_kd.Distiller(teacher, student, temperature=4.0, alpha=0.9)

The core (losses, networks, Distiller, datasets) runs on any backend of Keras 3. The modules
`pipeline`, `training` and `export` need TensorFlow and are imported when first asked for.
"""

import importlib

from keras_kd import datasets, distiller, losses, resnet, taps
from keras_kd.distiller import Distiller
from keras_kd.resnet import block_plan, cifar_resnet, imagenet_resnet, wide_resnet

__version__ = "0.1.0"

_TENSORFLOW_MODULES = ("devices", "export", "pipeline", "tensorboard", "training")

__all__ = [
    "Distiller",
    "block_plan",
    "cifar_resnet",
    "datasets",
    "distiller",
    "imagenet_resnet",
    "losses",
    "resnet",
    "taps",
    "wide_resnet",
    *_TENSORFLOW_MODULES,
]


def __getattr__(name):
    if name in _TENSORFLOW_MODULES:
        return importlib.import_module(f"keras_kd.{name}")
    raise AttributeError(f"module 'keras_kd' has no attribute {name!r}")
