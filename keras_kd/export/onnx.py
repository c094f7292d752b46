"""A trained network as an ONNX file that takes raw uint8 images; with TensorFlow and tf2onnx.

to_onnx(model, "student.onnx", dataset=dataset)
logits = session("student.onnx")(images)
"""

import logging
import pathlib

import numpy as np

from keras_kd.export import conversion
from keras_kd.export.signature import image_shape, in_batches, serving, serving_network
from keras_kd.utils import files, optional

OPSET = 17  # of ONNX 1.12, which runtimes of the last years know


def to_onnx(model, path, *, dataset=None, batch=None):
    """Writes an ONNX file with the signature of `saved_model.to_saved_model`, atomically.

    Args:
      model: a functional or sequential `keras.Model` from normalised images to logits, or to their softmax.
      path: of the file.
      dataset: the `keras_kd.data.Dataset` that gives the normalisation; None: pixel values 0 to 255.
      batch: number of images at a time; None: any.

    Raises:
      MissingPackageError: without tf2onnx or onnxruntime.
      conversion.ConversionError: for a network that ONNX has no operations for; the message names one.
    """
    import tensorflow as tf

    tf2onnx = optional.require("tf2onnx", "onnx")
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # its errors are told by `check_runs`
    network = serving_network(model, dataset)
    signature = [tf.TensorSpec((batch, *image_shape(network, dataset)), tf.uint8, name="image")]
    function = tf.function(serving(network, dataset), input_signature=signature)
    with conversion.converting(network, "ONNX"), conversion.inlined_functions():
        graph, _ = tf2onnx.convert.from_function(
            function, input_signature=signature, opset=OPSET, custom_op_handlers=dict(_OTHER_FORMS)
        )
        _store_constants(graph.graph, function.get_concrete_function())
    with files.replacing(path) as part:
        part.write_bytes(graph.SerializeToString())
        conversion.check_runs(session, part, network, dataset, "ONNX Runtime")


def _store_constants(graph, function):
    """Keeps in the file the constants that the function holds from outside, such as given moments.

    The converter makes inputs of them.
    """
    from onnx import numpy_helper

    captured = {inner.name: outer for outer, inner in function.graph.captures}
    for given in [each for each in graph.input if each.name in captured]:
        graph.initializer.append(numpy_helper.from_array(captured[given.name].numpy(), given.name))
        graph.input.remove(given)


def _one_minus_erf(ctx, node, name, args):
    return _with_one(ctx, node, "Erf", lambda one, erf: [one, erf])


def _exp_minus_one(ctx, node, name, args):
    return _with_one(ctx, node, "Exp", lambda one, exp: [exp, one])


def _with_one(ctx, node, operation, operands):
    """The difference of 1 and an operation that ONNX has, in the place of one that it has not."""
    shape, dtype = ctx.get_shape(node.output[0]), ctx.get_dtype(node.output[0])
    known = ctx.make_node(
        operation, node.input, name=f"{node.name}/{operation}", shapes=[shape], dtypes=[dtype]
    )
    one = ctx.make_const(f"{node.name}/one", np.ones((), np.float32))
    ctx.remove_node(node.name)
    return ctx.make_node(
        "Sub",
        operands(one.output[0], known.output[0]),
        name=node.name,
        outputs=node.output,
        shapes=[shape],
        dtypes=[dtype],
    )


# TensorFlow's operations that ONNX lacks: exact GELU has the first, CELU the other.
_OTHER_FORMS = {"Erfc": (_one_minus_erf, []), "Expm1": (_exp_minus_one, [])}


def session(path, threads=1, output="logits"):
    """A function from uint8 images `[n, height, width, channels]` to logits, float32 `[n, classes]`.

    Args:
      path: of a file that `to_onnx` wrote.
      threads: that it may use.
      output: name of what is returned: "probabilities" are of the same shape.

    Raises:
      MissingPackageError: without onnxruntime.
    """
    running = _running(path, threads)
    size = running.get_inputs()[0].shape[0]

    def logits(images):
        return running.run([output], {"image": images})[0]

    return in_batches(logits, size) if isinstance(size, int) else logits


def shape_of_images(path):
    """`(height, width, channels)` of the images that a file takes."""
    return tuple(_running(path, threads=1).get_inputs()[0].shape[1:])


def _running(path, threads):
    onnxruntime = optional.require("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    path = str(pathlib.Path(path))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
