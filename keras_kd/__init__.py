"""Knowledge distillation seen through residual networks.

    import keras_kd

    teacher = keras_kd.cifar_resnet(20)
    student = keras_kd.cifar_resnet(32, shortcuts=False)
    distiller = keras_kd.Distiller(teacher, student, temperature=4.0, alpha=0.9)

It runs on any backend of Keras 3; replicas, several hosts, TensorBoard and the export need
TensorFlow. Modules that are not named below are imported when first asked for.
"""

import importlib

from keras_kd import datasets, distiller, losses, resnet, taps
from keras_kd.distiller import Distiller
from keras_kd.resnet import block_plan, cifar_resnet, imagenet_resnet, wide_resnet

__version__ = "0.1.0"

_ON_DEMAND = (
    "anatomy",
    "batch_norm",
    "cards",
    "charts",
    "claims",
    "comparisons",
    "cost_pictures",
    "costs",
    "crews",
    "curvature",
    "devices",
    "export",
    "extras",
    "feeding",
    "findings",
    "folding",
    "grids",
    "inference",
    "landscape",
    "latency",
    "lesions",
    "litert",
    "onnx_file",
    "oracles",
    "paired",
    "parity",
    "pipeline",
    "plans",
    "pools",
    "report",
    "reuse",
    "run_training",
    "search",
    "serving",
    "spaces",
    "study",
    "subspaces",
    "surveys",
    "teachers",
    "tensorboard",
    "terrain",
    "training",
    "verdicts",
)

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
    *_ON_DEMAND,
]


def __getattr__(name):
    if name in _ON_DEMAND:
        return importlib.import_module(f"keras_kd.{name}")
    raise AttributeError(f"module 'keras_kd' has no attribute {name!r}")
