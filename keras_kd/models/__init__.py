"""Networks: residual ones whose shortcuts switch off, and what is asked of any Keras model.

    student = keras_kd.models.cifar_resnet(32, shortcuts=False)

Builders, weights by name, blocks, folding, cost; nothing here trains.
"""

from keras_kd.utils import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "block_plan": "block_specs",
        "build": "registry",
        "cifar_resnet": "resnet",
        "deep_graphs": "graph",
        "feature_extractor": "graph",
        "imagenet_resnet": "resnet",
        "load_model": "serialization",
        "logits_of": "logits",
        "remove_shortcuts": "fading",
        "save_model": "serialization",
        "two_logits": "logits",
        "wide_resnet": "resnet",
    },
)
