"""A trained network as an ONNX file that takes raw uint8 images; with TensorFlow and tf2onnx.

convert(model, "student.onnx", dataset=dataset)
logits = session("student.onnx")(images)
"""

import logging
import pathlib

from keras_kd.export.signature import image_shape, in_batches, serving, serving_network
from keras_kd.utils import files, optional

OPSET = 17  # of ONNX 1.12, which runtimes of the last years know


def convert(model, path, *, dataset=None, batch=None):
    """Writes an ONNX file with the signature of `saved_model.export_saved_model`, atomically.

    Args:
      model: a functional or sequential `keras.Model` from normalised images to logits, or to their softmax.
      path: of the file.
      dataset: the `keras_kd.data.Dataset` that gives the normalisation; None: pixel values 0 to 255.
      batch: number of images at a time; None: any.

    Raises:
      MissingPackageError: without tf2onnx.
    """
    import tensorflow as tf

    tf2onnx = optional.require("tf2onnx", "onnx")
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    network = serving_network(model)
    signature = [tf.TensorSpec((batch, *image_shape(network, dataset)), tf.uint8, name="image")]
    function = tf.function(serving(network, dataset), input_signature=signature)
    graph, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    with files.replacing(path) as part:
        part.write_bytes(graph.SerializeToString())


def session(path, threads=1):
    """A function from uint8 images `[n, height, width, channels]` to logits, float32 `[n, classes]`.

    Args:
      path: of a file that `convert` wrote.
      threads: that it may use.

    Raises:
      MissingPackageError: without onnxruntime.
    """
    onnxruntime = optional.require("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    running = onnxruntime.InferenceSession(
        str(pathlib.Path(path)), options, providers=["CPUExecutionProvider"]
    )
    size = running.get_inputs()[0].shape[0]

    def logits(images):
        return running.run(["logits"], {"image": images})[0]

    return in_batches(logits, size) if isinstance(size, int) else logits
