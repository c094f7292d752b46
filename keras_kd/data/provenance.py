"""The dataset that an earlier run saw, split as it was split then."""

import json
import pathlib

from keras_kd.data import datasets


def load_dataset(folder, result, seed, name=None, data_dir=None):
    """The dataset that a run saw.

    Args:
      folder: of the run.
      result: its `result.json`.
      seed: of the split, for a study that has several.
      name: where the dataset is, if it has moved.
      data_dir: where tensorflow-datasets keeps its data.

    Raises:
      ValueError: if what is found is another one.
    """
    described = result["dataset"]

    def load(seed):
        return datasets.load(
            name or described["name"],
            validation_fraction=_validation_fraction(pathlib.Path(folder), described),
            seed=seed,
            data_dir=data_dir,
        )

    first = result.get("seeds", [seed])[0]  # the fingerprint is that of its split
    dataset = load(first)
    sizes = {split: len(getattr(dataset, split).labels) for split in described["examples"]}
    if sizes != described["examples"] or dataset.fingerprint != described["fingerprint"]:
        raise ValueError(
            f"the dataset {name or described['name']!r} is not the one of {folder} (fingerprint "
            f"{described['fingerprint']}): say where that is"
        )
    return dataset if seed == first else load(seed)


def _validation_fraction(folder, described):
    """As stratified splits round it, which the sizes tell as well as the flag did."""
    if (folder / "study.json").is_file():
        study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        return study["identity"]["validation_fraction"]
    for line in (folder / "flags.cfg").read_text(encoding="utf-8").splitlines():
        if line.startswith("--validation_fraction="):
            return float(line.split("=", 1)[1])
    examples = described["examples"]
    return examples["validation"] / (examples["train"] + examples["validation"])
