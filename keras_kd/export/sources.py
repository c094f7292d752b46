"""The network that is shipped: its file, the data it was trained on, and what its run measured."""

import dataclasses
import pathlib

import keras

from keras_kd.data import provenance
from keras_kd.models import serialization, weights
from keras_kd.training.labels import DISTILLED, network_file
from keras_kd.utils import files, run_dir
from keras_kd.utils import identity as identities


@dataclasses.dataclass(frozen=True)
class Source:
    """What is shipped.

    Attributes:
      path: of the .keras file.
      name: of the folder that it gets.
      network: the `keras.Model`.
      dataset: that it was trained on.
      result: `result.json` of its run.
    """

    path: pathlib.Path
    name: str
    network: keras.Model
    dataset: object
    result: dict

    @property
    def accuracy(self):
        """On all test images, as its run measured it, in [0, 1]; None if that is not known."""
        return accuracy(self.result, self.path.name, self.network)

    @property
    def comes_with_images(self):
        """Whether it is of no run, and images that were given say how it is asked."""
        return "preprocessing" in self.result

    @property
    def was_trained_in_run(self):
        """Whether its run trained it, and was not given it, as a teacher may be."""
        row = _measured(self.result, self.path.name) or {}
        return not self.comes_with_images and row.get("seconds", 0) is not None


def find_source(path, dataset_name=None, data_dir=None):
    """The `Source` of a .keras file in the folder of a run.

    Args:
      path: of the file.
      dataset_name: where the run's dataset is, if it has moved.
      data_dir: where tensorflow-datasets keeps its data.

    Raises:
      ValueError: if its folder is no finished run, whose data tell how images are normalised.
    """
    path = pathlib.Path(path)
    network = serialization.load_model(path)
    result_path = path.parent / run_dir.RESULT
    result = files.read_json(result_path) if result_path.is_file() else {}
    if "dataset" not in result:
        raise ValueError(
            f"{path.parent} holds no finished run of distill or train, whose data tell how images are "
            f"normalised: give images of the network's classes (images=FOLDER), on which that is measured"
        )
    with files.interpreting(result_path):
        seed, measured = result["seed"], result.get("fingerprints", {}).get(path.name)
    if measured not in (None, weights.fingerprint(network)):
        raise ValueError(
            f"{path} is not the network that its run measured (its weights or layers are others): give the "
            f"one that the run wrote; in Python, keras_kd.export takes any network"
        )
    dataset = provenance.load_dataset(path.parent, result, seed, dataset_name, data_dir)
    return Source(path, name_of(path), network, dataset, result)


def file_of_run(folder):
    """The `.keras` file that the folder of a finished run stands for: its last student, or its network.

    Of a distillation over seeds it is that of the first seed.

    Raises:
      ValueError: if it is no such folder.
    """
    folder = pathlib.Path(folder)
    result = folder / run_dir.RESULT
    if result.is_file():
        with files.interpreting(result):
            measured = files.read_json(result)
            if "comparisons" in measured:
                return file_of_run(run_dir.first_seed(folder, measured))
            labels = list(measured.get("networks", {}))
        found = folder / (network_file(labels[-1]) if labels else run_dir.MODEL)
        if found.is_file():
            return found
    raise ValueError(f"{folder} holds no finished run of distill or train")


def belongs_to_run(path):
    """Whether a .keras file is of a finished run of distill or train in its folder."""
    path = pathlib.Path(path)
    result_path = path.parent / run_dir.RESULT
    result = files.read_json(result_path) if result_path.is_file() else {}
    return "dataset" in result and path.name in result.get("fingerprints", {path.name})


def name_of(path):
    """The name of the folder that a .keras file's exports get: that of its run, one part of a path.

    Raises:
      ValueError: if it lies in no folder that has a name.
    """
    path = pathlib.Path(path).resolve()
    if not path.parent.name:
        raise ValueError(f"the folder of a network gives its exports their name. Received: {str(path)!r}")
    is_student = path.name in (network_file(DISTILLED), run_dir.MODEL)
    return path.parent.name + ("" if is_student else f"-{path.stem}")


def identity(source):
    """What exported files are of, `{name: digest}`: those of one folder have it in common.

    The network, the images that measure and calibrate, the classes, and how pixels are scaled and resized.
    """
    data = source.dataset
    pixels = (getattr(data, "preprocessing", None), data.mean.tolist(), data.std.tolist(), data.resizing)
    return {
        "network": weights.fingerprint(source.network),
        "images": source.result["dataset"]["fingerprint"],
        "classes": identities.text_digest(tuple(data.class_names)),
        "pixels": identities.text_digest(pixels),
    }


def run_of(source):
    """The run that a source is of, as its exported files name it."""
    return str(source.path.parent.absolute())


def is_run(source, run):
    """Whether `run`, as `run_of` said it, is this source's run, maybe by way of a link; None may be any."""
    return run is None or pathlib.Path(run).resolve() == source.path.parent.resolve()


def accuracy(result, file, network):
    """Test accuracy that a run measured of a network; None if it did not, or did not say of which weights.

    Args:
      result: `result.json` of the run.
      file: name of the network's file.
      network: the `keras.Model`.
    """
    if result.get("fingerprints", {}).get(file) != weights.fingerprint(network):
        return None
    row = _measured(result, file)
    return row and row["accuracy"]


def _measured(result, file):
    """What a run measured of the network in one of its files, `{name: value}`; None if it did not."""
    rows = {network_file(label): row for label, row in result.get("networks", {}).items()}
    return rows.get(file) or (result.get("measured") if file == run_dir.MODEL else None)
