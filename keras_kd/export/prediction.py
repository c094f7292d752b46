"""A trained network in any file asked about image files, which are read as its evaluation read them.

predictor = open_predictor("runs/distill-digits/exported/student/model.onnx")
probabilities = predictor.probabilities(predictor.read("seven.png")[None])
"""

import collections.abc
import contextlib
import dataclasses
import functools
import pathlib

import keras
import numpy as np
from PIL import Image

from keras_kd.data import image_decoding, lazy_images
from keras_kd.data.dataset import is_multi_label
from keras_kd.data.lazy_images import BadImageError
from keras_kd.export import litert, manifest, onnx, signature, sources
from keras_kd.export.manifest import MANIFEST
from keras_kd.models import inference, outputs
from keras_kd.utils import files

# What a SavedModel says of itself; it has `class_names` and `resizing`, as the manifest.
METADATA = "metadata.json"

_KNOWN = "a run's folder, a .keras file, or a SavedModel, .tflite or .onnx file that export wrote"


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A network that answers.

    Attributes:
      path: of its file.
      image_shape: `(height, width, channels)` of what it takes.
      class_names: of its outputs; empty if nothing beside the file says them.
      probabilities: from uint8 images `[n, height, width, channels]` to float `[n, classes]`.
      resizing: how images of other sizes were made those that it was trained on, see `image_decoding.read`.
    """

    path: pathlib.Path
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    probabilities: collections.abc.Callable
    resizing: str = "centre"

    def name_of(self, place):
        """What the output at a place means, see `manifest.name_of`."""
        return manifest.name_of(self.class_names, place)

    def read(self, path):
        """The image in a file, uint8 `[height, width, channels]`.

        One of another size is resized as those that the network was trained on, see `image_decoding.read`.

        Raises:
          BadImageError: if it cannot be read, or made what the network takes.
        """
        height, width, channels = self.image_shape
        image = image_decoding.read(path, height if height == width else None, self.resizing)
        if image.shape[:2] != (height, width):
            raise BadImageError(
                image_decoding.shown(path),
                f"is {image.shape[1]}x{image.shape[0]}, and the network takes {width}x{height}",
            )
        return image if channels > 1 else np.asarray(Image.fromarray(image).convert("L"))[..., None]


def open_predictor(path, dataset_name=None, data_dir=None):
    """The `Predictor` of a network.

    Args:
      path: of the folder of a run of distill (its last student) or train, of a .keras file in one, or of a
        SavedModel, .tflite or .onnx file that was exported.
      dataset_name, data_dir: of a .keras file, where its run's dataset is, if it has moved.

    Raises:
      FileNotFoundError: if there is nothing.
      ValueError: for anything else, and a .keras file of no run: how it wants its pixels is not known.
      MissingPackageError: without the runtime of the file.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no {str(path)!r}: give {_KNOWN}")
    path = _file_in(path) if path.is_dir() else path
    of_keras = functools.partial(_of_keras, dataset_name=dataset_name, data_dir=data_dir)
    readers = {".keras": of_keras, ".tflite": _of_litert, ".onnx": _of_onnx, ".pb": _of_saved_model}
    if path.suffix not in readers:
        raise ValueError(f"the network must be {_KNOWN}. Received: {str(path)!r}")
    with contextlib.nullcontext() if path.suffix == ".keras" else _opening(path):
        return readers[path.suffix](path)


@contextlib.contextmanager
def _opening(path):
    """Says in one line that a file for another runtime is damaged, or none of ours."""
    try:
        yield
    except (MemoryError, OSError, ImportError, files.DamagedFileError):
        raise
    except Exception as error:  # runtimes raise whatever they like
        reason = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
        raise ValueError(
            f"{path} cannot be read ({type(error).__name__}: {reason}): it is damaged, or was not written by "
            f"keras-kd export"
        ) from error


# Characters of what a runtime says.
_LONGEST = 200


def _file_in(folder):
    """The file that a folder stands for."""
    if (folder / "saved_model.pb").is_file():
        return folder / "saved_model.pb"
    if (folder / MANIFEST).is_file():
        with files.interpreting(folder / MANIFEST):
            return folder / files.read_json(folder / MANIFEST)["files"][0]["file"]
    try:
        return sources.file_of_run(folder)
    except files.DamagedFileError:
        raise
    except ValueError as error:
        raise ValueError(f"{error}, and no exported network") from error


def _of_keras(path, dataset_name, data_dir):
    return of_source(sources.find_source(path, dataset_name, data_dir))


def of_source(source):
    """The `Predictor` of a `sources.Source`."""
    data = source.dataset
    forward = inference.compiled(outputs.with_logits(source.network, independent=is_multi_label(data)))

    def probabilities(images):
        answers = forward(signature.normalised(images, data))
        logits = keras.ops.convert_to_numpy(answers).astype(np.float64)
        if is_multi_label(data):
            return 1 / (1 + np.exp(-logits))
        return np.exp(inference.log_probabilities(logits))

    names = tuple(data.class_names)
    return Predictor(source.path, tuple(data.image_shape), names, probabilities, data.resizing)


def _of_litert(path):
    run = litert.session(path, output="probabilities")
    return Predictor(path, litert.shape_of_images(path), class_names(path), run, resizing(path))


def _of_onnx(path):
    run = onnx.session(path, output="probabilities")
    return Predictor(path, onnx.shape_of_images(path), class_names(path), run, resizing(path))


def _of_saved_model(path):
    import tensorflow as tf

    serve = tf.saved_model.load(str(path.parent)).signatures["serving_default"]
    shape = tuple(serve.structured_input_signature[1]["image"].shape)
    names = class_names(path)

    def probabilities(images):
        return serve(image=tf.constant(images))["probabilities"].numpy()

    run = probabilities if shape[0] is None else signature.in_batches(probabilities, shape[0])
    return Predictor(path, shape[1:], names, run, resizing(path))


def class_names(path):
    """The names of the classes that stand beside an exported file; none where nothing is there."""
    return _told(path, "class_names", tuple)


def resizing(path):
    """How images are resized for an exported file, as what stands beside it says; else "centre"."""
    return _told(path, "resizing", str) or "centre"


def _told(path, name, kind):
    """What stands beside an exported file under a name, as a `kind`; an empty one where nothing does."""
    for about in (path.parent / MANIFEST, path.parent / METADATA):
        if about.is_file():
            with files.interpreting(about):
                found = kind(files.read_json(about).get(name) or kind())
            if found:
                return found
    return kind()


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network says of an image.

    Attributes:
      path: of the image's file.
      probabilities: float `[classes]`.
    """

    path: pathlib.Path
    probabilities: np.ndarray

    def likeliest(self, count=1):
        """Places of the `count` likeliest classes, the likeliest first."""
        return [int(place) for place in np.argsort(-self.probabilities, kind="stable")[:count]]


def predict(predictor, paths, batch_size=64):
    """Asks a network about image files, some at a time.

    Args:
      predictor: a `Predictor`.
      paths: of the files.
      batch_size: images at a time.

    Returns:
      `(predictions, errors)`: a `Prediction` of each image in order, and a `BadImageError` of each that
      cannot be used.
    """
    paths, found, bad = list(paths), [], []
    for part in lazy_images.slices(len(paths), batch_size):
        images, whole = [], []
        for path in paths[part]:
            try:
                images.append(predictor.read(path))
                whole.append(path)
            except BadImageError as error:
                bad.append(error)
        if images:
            shares = predictor.probabilities(np.stack(images))
            found += map(Prediction, whole, np.asarray(shares))
    return found, bad


def right_by_folder(predictor, predictions):
    """`(right, of)`: how many images are in a folder called like their class, of those in one of a class."""
    names = [pathlib.Path(each.path).absolute().parent.name for each in predictions]
    known = [
        (each, name) for each, name in zip(predictions, names, strict=True) if name in predictor.class_names
    ]
    return sum(predictor.name_of(each.likeliest()[0]) == name for each, name in known), len(known)
