"""The networks that an earlier run left, in groups that are compared: for the scripts that look inside."""

import dataclasses
import json
import pathlib

import numpy as np
from absl import flags

from experiments import layout, origin
from keras_kd.analysis.landscape import surface
from keras_kd.data import augmentation
from keras_kd.models import inference, serialization
from keras_kd.study.findings import networks
from keras_kd.training import callbacks

# With fewer examples the error of a mean is not worth the name.
FEWEST = 8

RUN = flags.DEFINE_string("run", None, "Folder of a run of train, distill or study.", required=True)
DEPTHS = flags.DEFINE_list("depths", None, "Of a study, such as 20,56; all if not given.")
SEEDS = flags.DEFINE_list("seeds", None, "Of a study, such as 0,1,2; all if not given.")
DATASET = flags.DEFINE_string("dataset", None, "Where the run's dataset is, if it has moved.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where tensorflow-datasets keeps its data.")
SPLIT = flags.DEFINE_enum("split", "train", ["train", "test"], "Which images are looked at.")
EXAMPLES = flags.DEFINE_integer(
    "examples",
    0,
    f"How many of them; 0: as many as --standard_error takes, {surface.FEWEST_EXAMPLES} at least.",
)
flags.register_validator(
    "examples", lambda count: count == 0 or count >= FEWEST, f"--examples must be 0, or at least {FEWEST}"
)
STANDARD_ERROR = flags.DEFINE_float(
    "standard_error", 0.05, "Of the mean loss of each network, nats.", lower_bound=1e-9
)


@dataclasses.dataclass(frozen=True)
class Group:
    """Networks that are compared with each other.

    Attributes:
      name: in words.
      files: `{label: path of a .keras file}`.
      ways: `{label: folder of snapshots}`.
      seed: of their training.
      kind: of a study's networks: what those of other seeds share, in words; else None.
    """

    name: str
    files: dict
    ways: dict
    seed: int
    kind: str | None = None

    def load(self):
        """`{label: network}`."""
        return {label: serialization.load_model(path) for label, path in self.files.items()}

    def points(self):
        """`{label: [point]}`, the snapshots of each network on its way."""
        return {label: list(callbacks.read_snapshots(folder).values()) for label, folder in self.ways.items()}

    def draws(self, seed):
        """The seed of what is drawn about these networks: from one number another for each of their seeds."""
        return int(np.random.SeedSequence([seed, self.seed]).generate_state(1)[0])


def read():
    """What `--run` names.

    Returns:
      `(result, groups)`: the run's `result.json` and a list of `Group`s.

    Raises:
      ValueError: if there is no finished run, or none of its networks is asked for.
    """
    folder = pathlib.Path(RUN.value)
    path = folder / "result.json"
    if not path.is_file():
        raise ValueError(
            f"--run={folder} holds no finished run of train, distill or study (no result.json): finish it "
            f"first"
        )
    result = json.loads(path.read_text(encoding="utf-8"))
    if "rows" in result:
        return result, _of_study(folder, result)
    if DEPTHS.value or SEEDS.value:
        raise ValueError(f"--depths and --seeds choose among the networks of a study, which {folder} is not")
    return result, [_of_run(folder, result)]


def _of_run(folder, result):
    labels = layout.NETWORKS if "networks" in result else {"model": layout.MODEL}
    files = {label: folder / name for label, name in labels.items() if (folder / name).is_file()}
    if not files:
        raise ValueError(f"--run={folder} has none of the networks {', '.join(labels.values())}")
    return Group(
        folder.name,
        {label.replace("_", " "): path for label, path in files.items()},
        {label.replace("_", " "): folder / layout.TRAJECTORY / label for label in files},
        result["seed"],
    )


def _of_study(folder, result):
    """The trios of a study that are asked for, at least one for each depth and each seed."""
    trios = [trio for trio in networks.twin_triplets(result["rows"]) if _chosen(trio)]
    missing = [
        f"--{flag.name}={value}"
        for flag, found in ((DEPTHS, {trio.depth for trio in trios}), (SEEDS, {trio.seed for trio in trios}))
        for value in flag.value or []
        if value not in map(str, found)
    ]
    if missing or not trios:
        raise ValueError(
            f"{folder} has no residual network with its plain twin and the one it taught, all trained"
            f"{', with ' * bool(missing)}{' or '.join(missing)}"
        )
    return [
        Group(
            f"{trio.kind}, seed {trio.seed}",
            {label: folder / "runs" / run / layout.MODEL for label, run in trio.runs.items()},
            {},
            trio.seed,
            trio.kind,
        )
        for trio in trios
    ]


def _chosen(trio):
    return _asked(DEPTHS.value, trio.depth) and _asked(SEEDS.value, trio.seed)


def _asked(wanted, value):
    return not wanted or str(value) in wanted


def load_dataset(result, seed):
    """The dataset that a run saw; see `origin.load_dataset`."""
    return origin.load_dataset(RUN.value, result, seed, DATASET.value, DATA_DIR.value)


def examples(networks, dataset, seed):
    """The images, normalised, and labels that all networks of a group are looked at with.

    Without --examples there are as many as the network with the most uneven losses needs for
    --standard_error.
    """
    count = EXAMPLES.value
    if not count:
        count = max(
            surface.examples_needed(_losses(network, dataset), STANDARD_ERROR.value)
            for network in networks.values()
        )
    return _drawn(dataset, SPLIT.value, count, seed)


def training_images(dataset, count, seed):
    """So many training images, normalised, for statistics where the examples are others; None if not."""
    return None if SPLIT.value == "train" else _drawn(dataset, "train", count, seed)[0]


def _drawn(dataset, split, count, seed):
    split = getattr(dataset, split)
    chosen = np.random.default_rng(seed).permutation(len(split.labels))[:count]
    images = augmentation.normalise(split.images[chosen], dataset.mean, dataset.std)
    return np.asarray(images), split.labels[chosen]


def _losses(network, dataset):
    labels = getattr(dataset, SPLIT.value).labels
    logits = inference.logits(network, dataset, SPLIT.value)
    return -inference.log_probabilities(logits)[np.arange(len(labels)), labels]
