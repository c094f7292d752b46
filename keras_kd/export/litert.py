"""A trained network as a LiteRT (TensorFlow Lite) file that takes raw uint8 images; with TensorFlow.

to_litert(model, "student.tflite", dataset=dataset, kind="full_integer")
logits = session("student.tflite")(images)
"""

import contextlib
import pathlib
import tempfile
import warnings

import keras
import numpy as np
from keras import ops

from keras_kd.data import lazy_images
from keras_kd.export import conversion, parity, signature
from keras_kd.models import graph
from keras_kd.utils import files, limits, optional, quiet

KINDS = ("float32", "float16", "dynamic_range", "full_integer")

CALIBRATION_IMAGES = 200


def to_litert(model, path, *, dataset=None, kind="float32", batch=None, calibration=None):
    """Writes a LiteRT file with the signature of `saved_model.to_saved_model`, atomically.

    Args:
      model: a functional or sequential `keras.Model` from normalised images to logits, or to their softmax.
      path: of the file.
      dataset: the `keras_kd.data.Dataset` that the model was trained on: gives the normalisation; None:
        pixel values 0 to 255.
      kind: "float32"; "float16": kernels in 16 bits; "dynamic_range": kernels in 8 bits; "full_integer":
        feature maps too. The outputs are float32 always.
      batch: number of images at a time; None: any, as the interpreter is resized.
      calibration: uint8 `[n, height, width, channels]`, with which "full_integer" finds the ranges of feature
        maps; None: `CALIBRATION_IMAGES` training images of the dataset.

    Raises:
      MissingPackageError: without LiteRT.
      ValueError: for an unknown kind, or "full_integer" with neither a dataset nor images.
      conversion.ConversionError: for a network that LiteRT has no operations for; the message names one.

    Source: Jacob et al. 2018, arXiv:1712.05877 (integers).
    """
    limits.check_choice("kind", kind, KINDS)
    if kind == "full_integer" and calibration is None:
        if dataset is None:
            raise ValueError(
                "full_integer needs images that show its ranges: give dataset or calibration. Received: None"
            )
        calibration = parity.spread(dataset.train, CALIBRATION_IMAGES)[0]
    network = signature.serving_network(model, dataset)
    options = {"dataset": dataset, "kind": kind, "batch": batch, "calibration": calibration}
    try:
        content = _converted(network, **options)
    except conversion.ConversionError:
        if not any(hasattr(layer, "unroll") for layer in graph.all_parts(network)):
            raise
        with conversion.lent(
            network, "unroll", lambda layer: True
        ):  # loops of any number of images have no form
            content = _converted(network, **options)
    with files.replacing(path) as part:
        part.write_bytes(content)
        conversion.check_runs(session, part, network, dataset, "LiteRT")


def _converted(network, *, dataset, kind, batch, calibration):
    """The content of a file; arguments as for `to_litert`."""
    import tensorflow as tf

    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        conversion.converting(network, "LiteRT"),
        conversion.lent(network, "activation", _other_form),
    ):
        warnings.simplefilter("ignore")  # its calibrator runs the interpreter that LiteRT replaces
        pixels = "float32" if kind == "full_integer" else "uint8"
        signature.write_graph(network, f"{folder}/graph", dataset, batch=batch, dtype=pixels)
        converter = tf.lite.TFLiteConverter.from_saved_model(f"{folder}/graph")
        if kind != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if kind == "full_integer":
            converter.representative_dataset = lambda: _parts(calibration, batch or 1)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
        with quiet.filtered_stderr(lambda line: True):  # what goes wrong there is in the error, too
            return converter.convert()


def _other_form(layer):
    """An activation that LiteRT can compute, in the place of one that overflows there."""
    return _softplus if layer.activation is keras.activations.softplus else None


def _softplus(x):
    """log(1 + exp(x)) without the exponential of a large number."""
    return ops.relu(x) + ops.log(1.0 + ops.exp(-ops.abs(x)))


def _parts(images, size):
    """Images `size` at a time, as the graph takes them; what a part lacks is its last image again.

    The first image has both ends of the range: a pixel then is its own quantum.
    """
    images = images.astype("float32")
    images[0, 0, 0], images[0, -1, -1] = 0.0, 255.0
    for part in lazy_images.batches(images, size):
        yield {"image": np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])}


def _interpreter(path, threads, **options):
    runtime = optional.require("ai_edge_litert.interpreter", "litert")
    with _quiet():
        return runtime.Interpreter(model_path=str(pathlib.Path(path)), num_threads=threads, **options)


def _quiet():
    """A context in which LiteRT does not say which kernels it takes."""
    return quiet.filtered_stderr(lambda line: line.startswith(b"INFO: "))


def session(path, threads=1, output="logits"):
    """A function from uint8 images `[n, height, width, channels]` to logits, float32 `[n, classes]`.

    Args:
      path: of a file that `to_litert` wrote.
      threads: that it may use.
      output: name of what is returned: "probabilities" are of the same shape.

    Raises:
      MissingPackageError: without LiteRT.
      ValueError: if the file does not take pixels as they are.
    """
    interpreter = _interpreter(path, threads)
    with _quiet():
        interpreter.allocate_tensors()  # says which kernels it takes
    (image,) = interpreter.get_input_details()
    if image["quantization"] not in ((0.0, 0), (1.0, 0)):
        raise ValueError(f"{path} takes no raw pixels. Received: quantisation {image['quantization']}")
    runner = interpreter.get_signature_runner("serving_default")
    size = int(image["shape_signature"][0])

    def logits(images):
        return runner(image=images)[output]

    return logits if size < 0 else signature.in_batches(logits, size)


def shape_of_images(path):
    """`(height, width, channels)` of the images that a file takes."""
    return tuple(map(int, _interpreter(path, 1).get_input_details()[0]["shape_signature"][1:]))


def arena(path):
    """Bytes that feature maps take in LiteRT, by its own plan of memory for one image.

    That of its reference kernels: others take room of their own, or hide what they do. It is read off the
    addresses of the tensors.

    Args:
      path: of a file whose batch is free or 1.

    Raises:
      MissingPackageError: without LiteRT.
    """
    resolver = optional.require("ai_edge_litert.interpreter", "litert").OpResolverType.BUILTIN_REF
    interpreter = _interpreter(path, 1, experimental_op_resolver_type=resolver)
    weights = _filled(interpreter)  # they may lie near
    interpreter.allocate_tensors()
    places = []
    for index in {tensor["index"] for tensor in interpreter.get_tensor_details()} - weights:
        with contextlib.suppress(ValueError):  # one that no operation reads has no place
            values = interpreter.tensor(index)()
            address = values.__array_interface__["data"][0]
            places.append((address, address + values.nbytes))
    image = interpreter.tensor(interpreter.get_input_details()[0]["index"])()
    return _span(sorted(places), image.__array_interface__["data"][0])


def _filled(interpreter):
    """Tensors that have values before there is a place for the others: the constants of the file."""
    found = set()
    for tensor in interpreter.get_tensor_details():
        with contextlib.suppress(ValueError):  # nothing there
            interpreter.get_tensor(tensor["index"])
            found.add(tensor["index"])
    return found


# Parts of one arena lie no further apart than this; other memory does.
_GAP = 1 << 16


def _span(places, inside):
    """Bytes from the first to the last of the places that lie near to each other and hold an address."""
    low, high = places[0]
    for start, end in places[1:]:
        if start - high > _GAP:
            if low <= inside < high:
                break
            low, high = start, end
        high = max(high, end)
    return high - low
