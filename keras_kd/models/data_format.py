"""Where feature maps have their channels: who reads height and width takes maps of channels last."""

import keras

from keras_kd.models import graph

_CHANNELS_FIRST = "channels_first"
_LEAST_AXES = 3  # batch, positions, channels


def check_channels_last(model, names):
    """Checks that layers compute `[batch, height, width, channels]`, as far as the network tells.

    A layer goes by its own `data_format`. One without, such as a ReLU, goes by the network: its channels come
    first where those of any layer do. A `keras.layers.Permute` is taken for what brings them last.

    Args:
      model: a functional or sequential `keras.Model`.
      names: of its layers; those without positions pass.

    Raises:
      ValueError: for the first one whose channels come first.
    """
    for name in names:
        layer = model.get_layer(name)
        shape = getattr(layer.output, "shape", ())
        if len(shape) >= _LEAST_AXES and _comes_first(model, layer):
            raise ValueError(
                f"layer {name!r} of model {model.name!r} has maps of channels first: bring the channels last "
                f"by a keras.layers.Permute and name that, or name another layer. Received: shape {shape}"
            )


def _comes_first(model, layer):
    own = getattr(layer, "data_format", None)
    if own or isinstance(layer, keras.layers.Permute):
        return own == _CHANNELS_FIRST
    return any(getattr(part, "data_format", None) == _CHANNELS_FIRST for part in graph.all_parts(model))
