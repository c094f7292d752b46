"""A trained network as a SavedModel that takes raw uint8 images; with the TensorFlow backend."""

import pathlib

import keras
import numpy as np

from keras_kd.data import lazy_images
from keras_kd.data.dataset import is_multi_label
from keras_kd.export import parity, signature
from keras_kd.models.graph import UNKNOWN_SIZE
from keras_kd.utils import files, folders

PARITY_TOLERANCE = 1e-5


def to_saved_model(model, path, *, dataset=None, batch=None, tolerance=PARITY_TOLERANCE, run=None):
    """Writes a SavedModel with the normalisation inside, and `metadata.json` in its folder.

    What was written is read again and compared with the model before it takes its place.

    The signature `serving_default` takes `image`, uint8 `[n, height, width, channels]`, and
    returns `logits` and `probabilities`, float32 `[n, classes]`, and `class_id`, int64 `[n]`.
    The graph computes in float32 whatever precision the model was trained in.

    Args:
      model: a functional or sequential `keras.Model` from normalised images to logits, or to their softmax.
      path: folder of the SavedModel; an older SavedModel there is replaced, nothing else is.
      dataset: the `keras_kd.data.Dataset` that the model was trained on: gives the
        normalisation and the class names. None: the model takes pixel values 0 to 255.
      batch: number of images at a time; None: any.
      tolerance: the largest difference of logits, as a share of the largest logit.
      run: the folder of the run that makes it, for `metadata.json`; see `made_by`.

    Returns:
      How well the two agree: see `measure_parity`; it is in `metadata.json` too.

    Raises:
      FileExistsError: if `path` holds something else than a SavedModel.
      ValueError: if the images of the dataset do not fit the model.
      parity.ParityError: if a logit differs by more than that.
    """
    path = pathlib.Path(path)
    check_target(path)
    with folders.replacing_folder(path) as part:
        check_target(path)  # no other process writes there now
        return write_saved_model(model, part, dataset=dataset, batch=batch, tolerance=tolerance, run=run)


export_saved_model = to_saved_model  # its first name


def write_saved_model(model, folder, *, dataset=None, batch=None, tolerance=PARITY_TOLERANCE, run=None):
    """As `to_saved_model`, to a folder that is not there yet."""
    shape = signature.image_shape(model, dataset)
    network = signature.serving_network(model, dataset)
    signature.write_graph(network, folder, dataset, batch=batch)
    found = measure_parity(folder, network, dataset)
    parity.check(parity.Parity(**found), "the SavedModel", tolerance=tolerance)
    about = _metadata(model, (batch, *shape), dataset)
    if run is not None:
        about["run"] = str(pathlib.Path(run).absolute())
    files.write_json(about | {"parity": found, "sha256": digest(folder)}, folder / "metadata.json")
    return found


def parts(folder):
    """What a SavedModel consists of, less `metadata.json`: paths of its files, sorted."""
    named = [folder / name for name in ("saved_model.pb", "fingerprint.pb") if (folder / name).is_file()]
    within = [
        path for name in ("variables", "assets") for path in (folder / name).rglob("*") if path.is_file()
    ]
    return sorted([*named, *within])


def digest(folder):
    """SHA-256 of the files of a SavedModel and of their names, as text."""
    return files.sha256(parts(folder), folder)


def check_target(path):
    """Raises a FileExistsError if `path` holds something else than a SavedModel, or that of `check_path`."""
    check_path(path)
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise FileExistsError(f"{path} exists and is no SavedModel: choose another path")


def check_path(path):
    """Raises a ValueError for a path where TensorFlow, which reads patterns there, finds no files."""
    found = [letter for letter in "*?[\\" if letter in str(path)]
    if found:
        raise ValueError(
            f"TensorFlow takes the path of a SavedModel for a pattern: choose one without {' '.join(found)}. "
            f"Received: {path}"
        )


def is_exported(path):
    """Whether the SavedModel at `path` has a `metadata.json` as `to_saved_model` writes it."""
    metadata = path / "metadata.json"
    return metadata.is_file() and "normalisation" in files.read_json(metadata)


def made_by(path):
    """The absolute path of the run that made the SavedModel at `path`, as text; None if that is not known.

    Raises:
      DamagedFileError: if the file that says so is not what was written.
    """
    metadata = pathlib.Path(path) / "metadata.json"
    return files.read_json(metadata).get("run") if metadata.is_file() else None


def measure_parity(path, model, dataset=None, count=256):
    """Compares a SavedModel with the Keras model that it came from, image by image.

    Args:
      path: of the SavedModel.
      model: the `keras.Model`, in float32.
      dataset: the `keras_kd.data.Dataset` given to `to_saved_model`: its test images are
        compared. None compares on noise.
      count: how many images, at the most.

    Returns:
      The `parity.Parity`, as `{name: value}`.
    """
    import tensorflow as tf

    if dataset is None:
        shape = [size or UNKNOWN_SIZE for size in model.input_shape[1:]]
        images = np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)
        labels = None
    else:
        images, labels = parity.spread(dataset.test, count)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    size = serve.structured_input_signature[1]["image"].shape[0]
    size = size or min(lazy_images.at_once(images.shape[1:]), len(images))
    logits = signature.in_batches(lambda part: serve(image=tf.constant(part))["logits"].numpy(), size)(images)
    expected = parity.in_parts(lambda part: parity.expected_logits(model, part, dataset))(images)
    return vars(parity.compare(logits, expected, labels))


def _metadata(model, shape, dataset):
    import tensorflow as tf

    activation = "sigmoid" if is_multi_label(dataset) else "softmax"
    metadata = {
        "model": model.name,
        "input": {"name": "image", "dtype": "uint8", "shape": list(shape)},
        "outputs": {
            "logits": "float32 [n, classes], unnormalised",
            "probabilities": f"float32 [n, classes], {activation} of the logits",
            "class_id": "int64 [n], position in class_names",
        },
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        "class_names": None,
        "normalisation": None,
    }
    if dataset is not None:
        metadata["dataset"] = {"name": dataset.name, "fingerprint": dataset.fingerprint}
        metadata["class_names"] = list(dataset.class_names)
        metadata["resizing"] = dataset.resizing
        reverses = getattr(dataset, "preprocessing", None) == "caffe"
        metadata["normalisation"] = {
            "formula": "(image / 255 - mean) / std, per channel, inside the SavedModel"
            + ("; channels are reversed first" if reverses else ""),
            "mean": dataset.mean.tolist(),
            "std": dataset.std.tolist(),
        }
    return metadata
