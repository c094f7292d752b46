"""The logits of a network that ends in softmax or sigmoid.

teacher = keras_kd.models.logits_of(keras.applications.MobileNetV3Small())
"""

from keras_kd.models import network_checks, outputs


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
