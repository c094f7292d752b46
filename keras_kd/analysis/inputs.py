"""The networks that a run left, in groups that are compared, and the images that they are analyzed with."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np

from keras_kd.analysis import trainings
from keras_kd.analysis.landscape import surface
from keras_kd.data import augmentation
from keras_kd.models import inference, serialization
from keras_kd.training import evaluation, labels
from keras_kd.utils import files, limits, run_dir

# With fewer examples the error of a mean is not worth the name.
FEWEST = 8

SPLITS = ("train", "test")

# What the network of a run of `train` is called.
_ONLY = "model"


@dataclasses.dataclass(frozen=True)
class NetworkGroup:
    """Networks that are compared with each other.

    Attributes:
      name: in words.
      files: `{label: path of a .keras file}`.
      seed: of their training.
      kind: of a study's networks: what those of other seeds share, in words; else None.
      pairs, twin, titles: as for `results.GroupResult`.
      read_trainings: `read_trainings(networks, dataset)`, `{label: Training}` of those that kept snapshots;
        None of a study's networks, which keep none.
    """

    name: str
    files: dict
    seed: int
    kind: str | None = None
    pairs: list = dataclasses.field(default_factory=list)
    twin: str | None = None
    titles: dict = dataclasses.field(default_factory=dict)
    read_trainings: Callable | None = None

    def load(self):
        """`{label: network}`."""
        return {label: serialization.load_model(path) for label, path in self.files.items()}

    def trainings(self, networks, dataset):
        """`{label: trainings.Training}` of those of its networks that kept snapshots.

        Args:
          networks: as `load` returned them.
          dataset: that they saw.
        """
        return self.read_trainings(networks, dataset) if self.read_trainings else {}

    def seed_of_draws(self, seed):
        """The seed of what is drawn about these networks: from one number another for each of their seeds."""
        return int(np.random.SeedSequence([seed, self.seed]).generate_state(1)[0])


def read_result(folder):
    """The `result.json` of a finished run.

    Raises:
      ValueError: if there is none.
    """
    path = pathlib.Path(folder) / run_dir.RESULT
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no finished run of train, distill or study (no result.json): finish it first"
        )
    result = files.read_json(path)
    run_dir.check_one_seed(folder, result)
    return result


def group_of_run(folder, result):
    """The networks of a run of train or distill as one `NetworkGroup`.

    Args:
      folder: of the run.
      result: its `result.json`.

    Raises:
      ValueError: if none of its networks is there.
    """
    folder = pathlib.Path(folder)
    with files.interpreting(folder / run_dir.RESULT):
        seed = int(result["seed"])
    names = {_ONLY: run_dir.MODEL}
    if "networks" in result:
        names = {label: labels.network_file(label) for label in result["networks"]}
    found = {label: folder / name for label, name in names.items() if (folder / name).is_file()}
    if not found:
        raise ValueError(f"{folder} has none of the networks {', '.join(names.values())}")
    twin = _twin(found, result)
    return NetworkGroup(
        folder.name,
        {_in_words(label): path for label, path in found.items()},
        seed,
        pairs=[[*map(_in_words, pair)] for pair in _pairs(found, twin)],
        twin=twin and _in_words(twin),
        titles={_in_words(label): title for label, title in _titles(found, result).items()},
        read_trainings=functools.partial(_trainings_of_run, folder, result, list(found)),
    )


def _twin(found, result):
    """Label of the student's residual twin among the networks of a run, or None."""
    if labels.BASELINE in found:
        return labels.BASELINE
    is_twin = (result.get("effects") or {}).get("drop") is not None
    return labels.TEACHER if is_twin and labels.TEACHER in found else None


def _pairs(found, twin):
    """What is compared in a run: the student without shortcuts with its twin, taught with untaught, and each
    that lost its shortcuts in training with the twin, or with the one that was taught without any."""
    special = (labels.TEACHER, labels.BASELINE, labels.ALONE, labels.DISTILLED)
    removed = [label for label in found if label not in special and label != _ONLY]
    wanted = [(labels.ALONE, twin), (labels.DISTILLED, labels.ALONE)]
    wanted += [(label, twin or labels.DISTILLED) for label in removed]
    return [pair for pair in wanted if all(label in found for label in pair)]


def _titles(found, result):
    """`{label: name of the network's architecture}` of those whose name is known."""
    students = {label: result.get("student") for label in found if label != labels.BASELINE}
    names = students | {labels.TEACHER: result.get("teacher")}
    return {label: name for label, name in names.items() if name and label in found}


def _in_words(label):
    return label.replace("_", " ")


def _trainings_of_run(folder, result, names, networks, dataset):
    with files.interpreting(folder / run_dir.RESULT):
        found = {
            _in_words(label): trainings.of_run(folder, label, networks[_in_words(label)], result, dataset)
            for label in names
        }
    return {label: training for label, training in found.items() if training}


@dataclasses.dataclass(frozen=True)
class ExampleSource:
    """Which images all networks of a group are analyzed with.

    Attributes:
      load_dataset: `load_dataset(seed)`, the dataset that the networks of a seed saw.
      split: "train" or "test".
      count: how many; 0: as many as the network with the most uneven losses needs for `standard_error`.
      standard_error: that the mean loss of each network may have, nats.

    Raises:
      ValueError: for another split, too few examples, or a standard error that is not positive.
    """

    load_dataset: Callable
    split: str = "train"
    count: int = 0
    standard_error: float = 0.05

    def __post_init__(self):
        limits.check_choice("split", self.split, SPLITS)
        limits.EXAMPLES.check("examples", self.count)
        if self.count and self.count < FEWEST:
            raise ValueError(f"examples must be 0, or at least {FEWEST}. Received: {self.count}")
        limits.STANDARD_ERROR.check("standard_error", self.standard_error)

    def examples(self, networks, dataset, seed):
        """`(images, labels)`, the images normalised.

        Args:
          networks: `{label: network}`.
          dataset: that they saw.
          seed: of the draw.
        """
        count = self.count or max(
            surface.examples_needed(self._losses(network, dataset), self.standard_error)
            for network in networks.values()
        )
        return _drawn(dataset, self.split, count, seed)

    def training_images(self, dataset, count, seed):
        """So many training images, normalised, for statistics where the examples are others; None if not."""
        return None if self.split == "train" else _drawn(dataset, "train", count, seed)[0]

    def _losses(self, network, dataset):
        labels = getattr(dataset, self.split).labels
        logits = inference.logits(network, dataset, self.split)
        return evaluation.cross_entropies(logits, labels)


def _drawn(dataset, split, count, seed):
    split = getattr(dataset, split)
    chosen = np.random.default_rng(seed).permutation(len(split.labels))[:count]
    images = augmentation.normalise(split.images[chosen], dataset.mean, dataset.std)
    return np.asarray(images), split.labels[chosen]
