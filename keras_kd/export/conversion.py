"""What other formats cannot take of a network: told by operation and layer, or lent another form."""

import contextlib
import re

import keras
import numpy as np

from keras_kd.export import signature
from keras_kd.models import graph


class ConversionError(ValueError):
    """A network that a format cannot hold, or a file that its runtime does not run."""


def check_runs(session, path, network, dataset, runtime):
    """Loads and runs a file before it gets its name.

    Args:
      session: from a path to a function from images to logits, of the format's module.
      path: of the file.
      network, dataset: as for `signature.serving`.
      runtime: its name.

    Raises:
      ConversionError: if the runtime refuses it, or gives no numbers where the network does.
    """
    shape = [size or graph.UNKNOWN_SIZE for size in signature.image_shape(network, dataset)]
    images = np.random.default_rng(0).integers(0, 256, (_TRIED, *shape), dtype=np.uint8)
    with _told(network, f"{runtime} does not run what was written"):
        logits = session(path)(images)
    expected = keras.ops.convert_to_numpy(network(signature.normalised(images, dataset), training=False))
    if np.isfinite(expected).all() and not np.isfinite(logits).all():
        raise ConversionError(
            f"{runtime} computes NaN or infinities where {network.name!r} computes numbers: something in "
            f"it, such as an activation, overflows there. Export another format, or use another function"
        )


# Images on which a file is run. Whether it computes the same is told by `parity`.
_TRIED = 2


def converting(network, format_name):
    """A context in which what a converter raises becomes a `ConversionError` with operation and layer."""
    return _told(network, f"{network.name!r} cannot be written as {format_name}")


@contextlib.contextmanager
def _told(network, what):
    try:
        yield
    except (MemoryError, OSError, ImportError, ConversionError):
        raise
    except Exception as error:  # converters and runtimes raise whatever they like
        raise ConversionError(f"{what}: {_reason(error, network)}") from error


def _reason(error, network):
    """In one line, by operation and layer if the message of a converter or runtime names an operation."""
    message = " ".join(str(error).split())
    operation, path = _operation(message)
    if not operation:
        return message[:_LONGEST] or type(error).__name__
    layer = layer_of(path, network)
    place = f"of layer {layer.name!r} ({type(layer).__name__})" if layer else f"at {path!r}"
    return (
        f"the operation {operation} {place} has no counterpart there. Export another format, or use "
        f"something else in its place"
    )


# Characters of a message that names no operation.
_LONGEST = 300

# How converters and runtimes name an operation and its place in the graph.
_NAMED = (
    re.compile(r'Node, \("(?P<path>[^"]+)", (?P<operation>\w+)'),  # ONNX Runtime
    re.compile(r"(?P<operation>\w+)\(\d+\) node with name '(?P<path>[^']+)'"),
    re.compile(r"running (?P<operation>\w+) node\. Name:'(?P<path>[^']+)'"),
    re.compile(r'fused\["(?P<operation>\w+):", "(?P<path>[^"@]+)'),  # LiteRT's converter
)


def _operation(message):
    """`(operation, path)` that a message names; None for both if none."""
    for pattern in _NAMED:
        found = pattern.search(message)
        if found:
            return found["operation"], found["path"]
    return None, ""


def layer_of(path, network):
    """The innermost layer that a path in a graph, such as "net_1/block/conv_2/Conv2D", lies in; or None."""
    layers = {layer.name: layer for layer in graph.all_layers(network)}
    for part in reversed(path.split("/")[:-1]):
        for name in (part, re.sub(r"_\d+$", "", part)):  # TensorFlow numbers what is traced again
            if name in layers:
                return layers[name]
    return None


@contextlib.contextmanager
def inlined_functions():
    """While it lasts, functions that Keras compiles are traced into the graph around them.

    Those of grouped convolutions, which are compiled by XLA, stay calls otherwise, which other formats do not
    know.
    """
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextlib.contextmanager
def lent(network, name, values):
    """Gives attributes of layers another value while it lasts.

    Args:
      network: a `keras.Model`.
      name: of the attribute.
      values: a function from a layer to the value; None leaves the layer alone.
    """
    borrowed = [(layer, getattr(layer, name)) for layer in graph.all_parts(network) if hasattr(layer, name)]
    try:
        for layer, _ in borrowed:
            value = values(layer)
            if value is not None:
                setattr(layer, name, value)
        yield
    finally:
        for layer, value in borrowed:
            setattr(layer, name, value)
