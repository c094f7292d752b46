"""Networks: residual ones whose shortcuts switch off, and what is asked of any Keras model.

    student = keras_kd.models.cifar_resnet(32, shortcuts=False)

Builders, weights by name, blocks, folding, cost; nothing here trains.
"""

from keras_kd.models.block_specs import block_plan
from keras_kd.models.graph import deep_graphs, feature_extractor
from keras_kd.models.registry import build
from keras_kd.models.resnet import cifar_resnet, imagenet_resnet, wide_resnet
from keras_kd.models.serialization import load_model, save_model

__all__ = [
    "block_plan",
    "build",
    "cifar_resnet",
    "deep_graphs",
    "feature_extractor",
    "imagenet_resnet",
    "load_model",
    "save_model",
    "wide_resnet",
]
