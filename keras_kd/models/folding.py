"""BatchNorm folded into the layer before it: the same function with fewer passes over memory."""

import keras
import numpy as np

from keras_kd.models import outputs, rebuilding, weights
from keras_kd.models.graph import check_layers, deep_graphs, feature_extractor, source_names, to_one_output

# Layers without activation whose last kernel axis, or last two for depthwise ones, are their channels.
_LINEAR = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv2D,
    keras.layers.Dense,
)


def fold_batch_norm(model, keep=()):
    """A copy of a network in which a BatchNorm right behind a convolution or dense layer is part of it.

    In inference BatchNorm multiplies each channel by a number and adds another one, which the kernel and
    the bias before it can do as well: `kernel * gamma / sqrt(variance + epsilon)`. What is behind something
    else, such as a sum, stays. The layers keep their names; a folded BatchNorm becomes an identity.

    Args:
      model: a `keras.Model`; one without a graph, with several outputs, or of layers that cannot be made
        again is returned as it is.
      keep: names of layers whose outputs are asked for: no BatchNorm is folded into these.

    Returns:
      A `keras.Model` that in inference mode has the same logits, and the same outputs of the layers that are
      kept, but for rounding, which is checked. It is not to be trained: it shares the layers that are not
      folded. Where some are kept all are made again, for a shared one has the output of the first network.

    Source: Jacob et al. 2018, arXiv:1712.05877, section 3.2.
    """
    if not getattr(model, "inputs", None) or len(model.outputs) != 1:
        return model
    try:
        with deep_graphs():
            graph = to_one_output(model)
            check_layers(graph, keep)
            folded = _fold(graph, keep)
    except Exception:  # of a layer, which may be anyone's and unable to say how it was made
        return model
    return folded if _agree(folded, model, keep) else model


def _fold(graph, keep):
    """The graph once more, on the same layers but for those that are folded."""
    pairs = {norm: source for norm, source in _pairs(graph).items() if source not in keep}
    norms = {source: norm for norm, source in pairs.items()}

    def replace(layer):
        if layer.name in pairs:
            return keras.layers.Identity(name=layer.name, dtype=layer.dtype_policy.name)
        if layer.name in norms:
            return type(layer).from_config({**layer.get_config(), "use_bias": True})
        return type(layer).from_config(layer.get_config()) if keep else layer

    folded = keras.models.clone_model(graph, clone_function=replace, call_function=_call)
    for source, norm in norms.items():
        folded.get_layer(source).set_weights(_folded(graph.get_layer(source), graph.get_layer(norm)))
    if keep:
        weights.copy_by_layer(graph, folded, but={*pairs, *norms})
    return folded


def _agree(folded, model, keep):
    """Whether both compute alike: a layer may do something else than its class and settings say."""
    networks = folded, model
    # Logits, for behind a steep softmax much looks alike, and each asked layer, which a later one may hide.
    compared = [[outputs.with_logits(network, independent=True) for network in networks]]
    compared += [[feature_extractor(network, keep) for network in networks]] if keep else []
    return all(rebuilding.largest_difference(*pair) <= rebuilding.tolerance(model) for pair in compared)


def _pairs(graph):
    """`{name of a BatchNorm: name of the layer that can take it in}`."""
    config = graph.get_config()
    sources = {
        layer["name"]: [source_names(node) for node in layer["inbound_nodes"]] for layer in config["layers"]
    }
    consumers = [name for calls in sources.values() for call in calls for name in call]
    consumers += source_names(config["output_layers"])
    pairs = {}
    for layer in graph.layers:
        calls = sources[layer.name]
        if type(layer) is keras.layers.BatchNormalization and len(calls) == 1:
            (name,) = calls[0]
            source = graph.get_layer(name)
            if consumers.count(name) == 1 and len(sources[name]) == 1 and _can_take(source, layer):
                pairs[layer.name] = name
    return pairs


def _can_take(layer, norm):
    is_linear = getattr(layer, "activation", None) is keras.activations.linear
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return (
        type(layer) in _LINEAR
        and is_linear
        and channels_last
        and norm.axis in (-1, len(layer.output.shape) - 1)
    )


def _call(layer, *args, **kwargs):
    """An identity stands for a BatchNorm, and does not know its options."""
    return layer(args[0]) if isinstance(layer, keras.layers.Identity) else layer(*args, **kwargs)


def _folded(layer, norm):
    """Kernel and bias of a layer that takes a BatchNorm in, float64."""
    scale, shift = scale_and_shift(norm)
    kernel = in_float64(layer.kernel)
    of_kernel = scale.reshape(kernel.shape[-2:]) if type(layer) is keras.layers.DepthwiseConv2D else scale
    return [kernel * of_kernel, in_float64(layer.bias, 0.0) * scale + shift]


def scale_and_shift(norm):
    """What BatchNorm multiplies a channel by in inference, and adds to it, float64 `[channels]` each."""
    scale = in_float64(norm.gamma, 1.0) / np.sqrt(in_float64(norm.moving_variance) + norm.epsilon)
    return scale, in_float64(norm.beta, 0.0) - in_float64(norm.moving_mean) * scale


def in_float64(weight, default=None):
    """A weight as a float64 array; `default` where the layer has none."""
    return default if weight is None else keras.ops.convert_to_numpy(weight).astype(np.float64)
