"""The logits of a network that ends in softmax or sigmoid, and those of some classes made of them.

teacher = keras_kd.models.logits_of(keras.applications.MobileNetV3Small())
"""

import keras
import numpy as np
from keras import ops

from keras_kd.data.dataset import is_multi_label
from keras_kd.models import graph, network_checks, outputs

TWO_CLASSES = 2


def logits_of(model):
    """A network that returns the logits of `model`: itself if it does, else one on the same layers.

    Args:
      model: a built `keras.Model` with one output `[batch, classes]`: logits, or what softmax or sigmoid
        makes of them.

    Returns:
      A `keras.Model` with the variables of `model`. The activation at its end is left out; where that cannot
      be (in a subclassed model, say), it returns the logarithms of the probabilities, of which softmax makes
      them again, or the logarithms of the odds, of which sigmoid does. These are between -88 and 0, and
      between -17 and 17, as float32 has nothing closer to 0 and 1.

    Raises:
      ValueError: for what is no network, or one that ends in an activation and is not built.
    """
    network_checks.check_network(model)
    return outputs.with_logits(model, independent=True)


def says_yes_or_no(model, dataset):
    """Whether a network tells the two classes of a dataset apart by one output."""
    shapes = [tuple(x.shape) for x in getattr(model, "outputs", None) or []]
    is_binary = dataset.num_classes == TWO_CLASSES and not is_multi_label(dataset)
    return is_binary and len(shapes) == 1 and shapes[0][1:] == (1,)


def two_logits(model):
    """A network of two classes from one that says yes or no.

    Its logits are 0 and the one of `model`: softmax of both says what sigmoid says of one, and so do losses:
    the cross-entropy is the binary one, `soft_target_kl` is `bernoulli_kl`.

    Args:
      model: a built `keras.Model` with one output `[batch, 1]`, of a logit or what sigmoid makes of it.

    Returns:
      A `keras.Model` with the variables of `model`, to logits `[batch, 2]`.
    """
    network_checks.check_network(model)
    return of_classes(model, binary=True)


def of_classes(model, places=None, *, binary=False, independent=False):
    """A network on the same layers, with a `ClassLogits` of these arguments behind its logits.

    Independent probabilities are taken of a binary one, or where `independent` says so.
    """
    scores = outputs.with_logits(model, independent=binary or independent)
    layer = ClassLogits(places, binary, name="class_logits")
    with graph.deep_graphs():
        inputs, returned = outputs.symbolic_ends(scores, input_name="image")
        return keras.Model(inputs, layer(returned), name=model.name)


@keras.saving.register_keras_serializable(package="keras_kd")
class ClassLogits(keras.layers.Layer):
    """Logits of some classes from those of a network.

    Args:
      places: of the network's outputs, one for each class; None: all, in order.
      binary: whether the network has one output, the logit of the second of two classes: that of the first
        is 0 then, and softmax of both says what sigmoid says.
    """

    returns_logits = True

    def __init__(self, places=None, binary=False, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False} | kwargs)
        self.places = None if places is None else [int(place) for place in places]
        self.binary = binary
        self.built = True

    def call(self, logits):
        """float32 `[batch, classes]`."""
        logits = ops.cast(logits, "float32")
        if self.binary:
            logits = ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
        return logits if self.places is None else ops.take(logits, np.array(self.places), axis=-1)

    def get_config(self):
        return {**super().get_config(), "places": self.places, "binary": self.binary}
