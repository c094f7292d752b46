"""Knowledge distillation seen through residual networks.

    import keras_kd

    teacher = keras_kd.cifar_resnet(20)
    student = keras_kd.cifar_resnet(32, shortcuts=False)
    distiller = keras_kd.Distiller(teacher, student, temperature=4.0, alpha=0.9)

It runs on any backend of Keras 3; replicas, several hosts, TensorBoard and the export need
TensorFlow. Rooms that are not imported below are imported when first asked for.
"""

import importlib

from keras_kd import data, distillation, losses, models
from keras_kd.distillation import Distiller
from keras_kd.models import block_plan, cifar_resnet, imagenet_resnet, wide_resnet

__version__ = "0.1.0"

_ON_DEMAND = ("analysis", "export", "reporting", "search", "study", "training", "utils")

__all__ = [
    "Distiller",
    "block_plan",
    "cifar_resnet",
    "data",
    "distillation",
    "imagenet_resnet",
    "losses",
    "models",
    "wide_resnet",
    *_ON_DEMAND,
]


def __getattr__(name):
    if name in _ON_DEMAND:
        return importlib.import_module(f"keras_kd.{name}")
    raise AttributeError(f"module 'keras_kd' has no attribute {name!r}")
