"""The dataset that an earlier run saw, split as it was split then."""

import contextlib
import dataclasses
import pathlib

from keras_kd.data import datasets, tfds
from keras_kd.data.lazy_images import BadImageError
from keras_kd.utils import files, run_dir


def load_dataset(folder, result, seed, name=None, data_dir=None):
    """The dataset that a run saw.

    Args:
      folder: of the run.
      result: its `result.json`.
      seed: of the training; earlier versions split by it.
      name: where the dataset is, if it has moved.
      data_dir: where tensorflow-datasets keeps its data; None: where the run found them.

    Raises:
      ValueError: if what is found is another one.
    """
    folder = pathlib.Path(folder)
    _, flags = run_dir.read_flags(folder)
    with files.interpreting(folder / run_dir.RESULT):
        described = {key: result["dataset"][key] for key in ("name", "examples", "fingerprint")}
        described["examples"] = {split: described["examples"][split] for split in _SPLITS}
        is_earlier = "split_seed" not in result["dataset"]
        # Where each seed had a split of its own, the fingerprint is that of the first.
        first = result.get("seeds", [seed])[0] if is_earlier else result["dataset"]["split_seed"]
        place = name or _place(**result["dataset"])
    validation_fraction = _validation_fraction(folder, flags, described)

    def load(seed):
        found = datasets.load(
            place,
            validation_fraction=validation_fraction,
            seed=seed,
            data_dir=data_dir or flags.get("data_dir"),
            cache="none" if tfds.is_by_index(flags.get("cache")) else None,  # the images of "disk", unwritten
            skip_bad_images="bad_images" in result,
        )
        return dataclasses.replace(found, name=str(name or described["name"]))

    with contextlib.nullcontext() if name else _naming_the_run(folder):
        dataset = _as_seen(load(first), described, is_earlier)
    if dataset is None:
        raise ValueError(
            f"the dataset {place!r} is not the one of {folder} (fingerprint {described['fingerprint']}): say "
            f"where that is, with --dataset"
        )
    return dataclasses.replace(load(seed), flips=dataset.flips) if is_earlier and seed != first else dataset


_SPLITS = ("train", "validation", "test")


def _place(name, absolute_name=None, **_):
    """Where a run's dataset is: where the run found it, or else under the name that was typed.

    Earlier versions wrote down that name alone.
    """
    if absolute_name is None:
        return name
    return next((each for each in (absolute_name, name) if datasets.is_path(each)), absolute_name)


@contextlib.contextmanager
def _naming_the_run(folder):
    """Raises in the name of a run that its dataset is not there."""
    try:
        yield
    except BadImageError:
        raise
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"the dataset of {folder} is not found ({error}): say where it is, with --dataset"
        ) from error


def _as_seen(dataset, described, is_earlier):
    """The dataset as its run saw it, or None if that was another.

    Whether images are flipped was guessed from the name that it had.
    """
    if described["examples"] != {split: len(getattr(dataset, split).labels) for split in _SPLITS}:
        return None
    for each in (dataset, dataclasses.replace(dataset, flips=not dataset.flips)):
        if described["fingerprint"] == (each.examples_fingerprint if is_earlier else each.fingerprint):
            return each
    return None


def split_remark(network, dataset):
    """What is to be known of a network that was trained on another split of a dataset, else None.

    Args:
      network: path of its file in the folder of its run.
      dataset: the `Dataset` whose validation split measures what it teaches.
    """
    try:
        result = files.read_json(pathlib.Path(network).parent / run_dir.RESULT)
        described, seed = result["dataset"], result["seed"]
        name, split_seed = described["name"], described.get("split_seed", seed)
        sizes = {split: len(getattr(dataset, split).labels) for split in described["examples"]}
        is_same_size = sum(described["examples"].values()) == sum(sizes.values())
        is_same_part = (split_seed, described["examples"]) == (dataset.split_seed, sizes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it is no run's, and nothing is known
    same = pathlib.Path(name).name == pathlib.Path(dataset.name).name and is_same_size
    known = {dataset.fingerprint, dataset.examples_fingerprint}
    if not same or is_same_part or described.get("fingerprint") in known:
        return None
    return (
        f"{network} was trained on another part of {dataset.name} (split_seed={split_seed}), so it may have "
        f"seen this run's validation images: what is measured on them looks better than it is"
    )


def _validation_fraction(folder, flags, described):
    """As stratified splits round it, which the sizes tell as well as the flag did."""
    if (folder / "study.json").is_file():
        path = folder / "study.json"
        with files.interpreting(path):
            return files.read_json(path)["identity"]["validation_fraction"]
    if "validation_fraction" in flags:
        return float(flags["validation_fraction"])
    examples = described["examples"]
    return examples["validation"] / (examples["train"] + examples["validation"])
