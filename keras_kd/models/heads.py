"""A trained network with a new classifier, for other classes than those it was trained on.

network = with_new_classifier(load_model("resnet.keras"), num_classes=5)
freeze_backbone(network)  # the new classifier alone is trained
"""

import keras

from keras_kd.models import graph

# Name of the new classifier.
HEAD = "head_logits"


def with_new_classifier(model, num_classes):
    """The network up to its classifier, with a new one.

    Args:
      model: a built functional or sequential `keras.Model` that ends in a dense layer or a convolution.
      num_classes: number of logits.

    Returns:
      A `keras.Model` of the same layers and weights to the float32 logits `[batch, num_classes]` of a dense
      layer; feature maps are averaged before it.

    Raises:
      ValueError: for a model without a graph, or that ends in another layer with weights.
    """
    graph.check_layers(model)
    features = _classifier(model).input
    if len(features.shape) > 2:
        features = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="features_pool")(
            features
        )
    logits = keras.layers.Dense(num_classes, dtype="float32", name=HEAD)(features)
    with graph.deep_graphs():
        return keras.Model(graph.inputs_of(model), logits, name=model.name)


def freeze_backbone(model):
    """Lets training change the classifier alone: BatchNorm keeps its statistics, too."""
    head = _classifier(model)
    for layer in model.layers:
        layer.trainable = layer is head


def unfreeze(model):
    """Lets training change all layers."""
    for layer in model.layers:
        layer.trainable = True


def _classifier(model):
    """The last layer with weights.

    Raises:
      ValueError: if it is neither a dense layer nor a convolution.
    """
    last = next((layer for layer in reversed(model.layers) if layer.weights), None)
    if not isinstance(last, (keras.layers.Dense, keras.layers.Conv2D)):
        raise ValueError(
            f"model {model.name!r} ends in no dense layer or convolution, so there is no classifier to give "
            f"way to a new one. Received: {last and type(last).__name__} as the last layer with weights"
        )
    return last
