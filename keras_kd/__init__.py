"""Knowledge distillation seen through residual networks.

    import keras_kd

    teacher = keras_kd.cifar_resnet(20)
    student = keras_kd.cifar_resnet(32, shortcuts=False)
    distiller = keras_kd.Distiller(teacher, student, temperature=4.0, alpha=0.9)

It runs on any backend of Keras 3; replicas, several hosts, TensorBoard and the export need
TensorFlow. Rooms are imported when first asked for.
"""

import importlib
import sys

from keras_kd.utils import lazy, quiet

__version__ = "0.1.0"

quiet.install()
__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "Distiller": "distillation",
        "block_plan": "models",
        "cifar_resnet": "models",
        "imagenet_resnet": "models",
        "wide_resnet": "models",
    }
    | {
        room: room
        for room in (
            "analysis",
            "data",
            "distillation",
            "export",
            "losses",
            "models",
            "reporting",
            "search",
            "study",
            "training",
            "utils",
        )
    },
    before="registered",  # who loads a saved file needs the classes that Keras registers
)

if "keras" in sys.modules:  # so does who loads it with Keras alone, for which keras_kd is only imported
    importlib.import_module("keras_kd.registered")
