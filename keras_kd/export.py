"""A trained network as a SavedModel that takes raw uint8 images; with the TensorFlow backend."""

import pathlib
import shutil

import keras
import numpy as np

from keras_kd import augmentation, storage, taps

PARITY_TOLERANCE = 1e-5
UNKNOWN_SIZE = 32  # where a model leaves a size open


def export_saved_model(model, path, *, dataset=None):
    """Writes a SavedModel with the normalisation inside, and `metadata.json` in its folder.

    What was written is read again and compared with the model before it takes its place.

    The signature `serving_default` takes `image`, uint8 `[n, height, width, channels]`, and
    returns `logits` and `probabilities`, float32 `[n, classes]`, and `class_id`, int64 `[n]`.
    The graph computes in float32 whatever precision the model was trained in.

    Args:
      model: a functional or sequential `keras.Model` from normalised images to logits.
      path: folder of the SavedModel; an older SavedModel there is replaced, nothing else is.
      dataset: the `keras_kd.datasets.Dataset` that the model was trained on: gives the
        normalisation and the class names. None: the model takes pixel values 0 to 255.

    Returns:
      How well the two agree: see `measure_parity`; it is in `metadata.json` too.

    Raises:
      FileExistsError: if `path` holds something else than a SavedModel.
      ValueError: if the images of the dataset do not fit the model.
      ExportMismatchError: if a logit differs by more than `PARITY_TOLERANCE`.
    """
    import tensorflow as tf

    path = pathlib.Path(path)
    check_target(path)
    shape = _image_shape(model, dataset)
    network = float32_copy(model)

    def serve(image):
        logits = network(_normalised(image, dataset), training=False)
        return {
            "logits": logits,
            "probabilities": tf.nn.softmax(logits),
            "class_id": tf.argmax(logits, axis=-1),
        }

    archive = keras.export.ExportArchive()
    archive.track(network)
    signature = tf.TensorSpec((None, *shape), tf.uint8, name="image")
    archive.add_endpoint("serving_default", serve, input_signature=[signature])
    part = path.with_name(f".part-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        archive.write_out(str(part), verbose=False)
        parity = measure_parity(part, network, dataset)
        if not parity["max_logit_difference"] <= PARITY_TOLERANCE:
            raise ExportMismatchError(f"the SavedModel does not compute what the model does: {parity}")
        storage.write_json(_metadata(model, shape, dataset) | {"parity": parity}, part / "metadata.json")
        storage.replace_folder(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return parity


class ExportMismatchError(ValueError):
    """An exported file does not compute what its model computes."""


def check_target(path):
    """Raises a FileExistsError if `path` holds something else than a SavedModel."""
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise FileExistsError(f"{path} exists and is no SavedModel: choose another path")


def measure_parity(path, model, dataset=None, count=256):
    """Compares a SavedModel with the Keras model that it came from, image by image.

    Args:
      path: of the SavedModel.
      model: the `keras.Model`, in float32.
      dataset: the `keras_kd.datasets.Dataset` given to `export_saved_model`: its test images are
        compared. None compares on noise.
      count: how many images, at the most.

    Returns:
      `{"max_logit_difference": ..., "same_class": ..., "images": ...}`: the largest difference of
      two logits, relative to the largest logit where that is above 1, and the share of images
      with the same class.
    """
    import tensorflow as tf

    if dataset is None:
        shape = [size or UNKNOWN_SIZE for size in model.input_shape[1:]]
        images = np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)
    else:
        images = dataset.test.images[:count]
    served = tf.saved_model.load(str(path)).signatures["serving_default"](image=tf.constant(images))
    logits = np.asarray(model(_normalised(images, dataset), training=False), np.float64)
    difference = np.abs(served["logits"].numpy() - logits).max() / max(1.0, np.abs(logits).max())
    return {
        "max_logit_difference": float(difference),
        "same_class": float(np.mean(served["class_id"].numpy() == logits.argmax(axis=1))),
        "images": len(images),
    }


def float32_copy(model):
    """The model itself if it computes in float32, else a copy that does, with the same weights.

    Networks trained in bfloat16 are refused by other runtimes.

    Args:
      model: a functional or sequential `keras.Model`.
    """
    if all(layer.compute_dtype == "float32" for layer in taps.all_layers(model)):
        return model

    def in_float32(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    copy = keras.models.clone_model(model, clone_function=in_float32, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _normalised(images, dataset):
    if dataset is None:
        return keras.ops.cast(images, "float32")
    return augmentation.normalise(images, dataset.mean, dataset.std)


def _image_shape(model, dataset):
    shape = tuple(model.input_shape[1:])
    if dataset is None:
        return shape
    fits = len(shape) == 3 and all(a in (b, None) for a, b in zip(shape, dataset.image_shape, strict=True))
    if not fits:
        raise ValueError(
            f"the model {model.name!r} does not take the images of {dataset.name!r}. "
            f"Received: input shape {shape} and images {dataset.image_shape}"
        )
    return dataset.image_shape


def _metadata(model, shape, dataset):
    import tensorflow as tf

    metadata = {
        "model": model.name,
        "input": {"name": "image", "dtype": "uint8", "shape": [None, *shape]},
        "outputs": {
            "logits": "float32 [n, classes], unnormalised",
            "probabilities": "float32 [n, classes], softmax of the logits",
            "class_id": "int64 [n], position in class_names",
        },
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "class_names": None,
        "normalisation": None,
    }
    if dataset is not None:
        metadata["dataset"] = {"name": dataset.name, "fingerprint": dataset.fingerprint}
        metadata["class_names"] = list(dataset.class_names)
        metadata["normalisation"] = {
            "formula": "(image / 255 - mean) / std, per channel, inside the SavedModel",
            "mean": dataset.mean.tolist(),
            "std": dataset.std.tolist(),
        }
    return metadata
