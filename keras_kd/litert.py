"""A trained network as a LiteRT (TensorFlow Lite) file that takes raw uint8 images; with TensorFlow.

convert(model, "student.tflite", dataset=dataset, kind="full_integer")
logits = session("student.tflite")(images)
"""

import pathlib
import tempfile
import warnings

from keras_kd import extras, parity, serving, storage

KINDS = ("float32", "dynamic_range", "full_integer")

CALIBRATION_IMAGES = 200


def convert(model, path, *, dataset=None, kind="float32", batch=None):
    """Writes a LiteRT file with the signature of `export.export_saved_model`, atomically.

    Args:
      model: a functional or sequential `keras.Model` from normalised images to logits.
      path: of the file.
      dataset: the `keras_kd.datasets.Dataset` that the model was trained on: gives the normalisation, and for
        "full_integer" the training images with which ranges are calibrated.
      kind: "float32"; "dynamic_range": kernels in 8 bits; "full_integer": feature maps too. The outputs are
        float32 always.
      batch: number of images at a time; None: any, as the interpreter is resized.

    Raises:
      ValueError: for an unknown kind, or "full_integer" without a dataset.

    Source: Jacob et al. 2018, arXiv:1712.05877 (integers).
    """
    import tensorflow as tf

    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}. Received: kind={kind!r}")
    if kind == "full_integer" and dataset is None:
        raise ValueError("full_integer needs the dataset whose training images calibrate it. Received: None")
    network = serving.float32_copy(model)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its calibrator runs the interpreter that LiteRT replaces
        pixels = "float32" if kind == "full_integer" else "uint8"
        serving.write_graph(network, f"{folder}/graph", dataset, batch=batch, dtype=pixels)
        converter = tf.lite.TFLiteConverter.from_saved_model(f"{folder}/graph")
        if kind != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "full_integer":
            converter.representative_dataset = lambda: _calibration(dataset)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
        content = converter.convert()
    with storage.replacing(path) as part:
        part.write_bytes(content)


def _calibration(dataset):
    """Training images one by one. The first has both ends of the range: a pixel then is its own quantum."""
    images = parity.spread(dataset.train, CALIBRATION_IMAGES)[0].astype("float32")
    images[0, 0, 0], images[0, -1, -1] = 0.0, 255.0
    for image in images:
        yield {"image": image[None]}


def _interpreter(path, threads, **options):
    runtime = extras.need("ai_edge_litert.interpreter", "litert")
    return runtime.Interpreter(model_path=str(pathlib.Path(path)), num_threads=threads, **options)


def session(path, threads=1):
    """A function from uint8 images `[n, height, width, channels]` to logits, float32 `[n, classes]`.

    Args:
      path: of a file that `convert` wrote.
      threads: that it may use.

    Raises:
      MissingPackageError: without LiteRT.
      ValueError: if the file does not take pixels as they are.
    """
    interpreter = _interpreter(path, threads)
    (image,) = interpreter.get_input_details()
    if image["quantization"] not in ((0.0, 0), (1.0, 0)):
        raise ValueError(f"{path} takes no raw pixels. Received: quantisation {image['quantization']}")
    runner = interpreter.get_signature_runner("serving_default")
    size = int(image["shape_signature"][0])

    def logits(images):
        return runner(image=images)["logits"]

    return logits if size < 0 else serving.in_batches(logits, size)


def arena(path):
    """Bytes that feature maps take in LiteRT, by its own plan of memory for one image.

    That of its reference kernels: others take room of their own, or hide what they do. It is read off the
    addresses of the tensors.

    Args:
      path: of a file whose batch is free or 1.

    Raises:
      MissingPackageError: without LiteRT.
    """
    resolver = extras.need("ai_edge_litert.interpreter", "litert").OpResolverType.BUILTIN_REF
    interpreter = _interpreter(path, 1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    places = []
    for tensor in interpreter.get_tensor_details():
        values = interpreter.tensor(tensor["index"])()
        address = values.__array_interface__["data"][0]
        places.append((address, address + values.nbytes))
    image = interpreter.tensor(interpreter.get_input_details()[0]["index"])()
    return _span(sorted(places), image.__array_interface__["data"][0])


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
