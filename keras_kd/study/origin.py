"""Of which data and which recipe the runs of a table are: three columns, alike in all of its rows.

`data` is the dataset's name without its folder, `fingerprint` that of its images, and `recipe` the settings
of all runs as text: the batch size, and what is not the default.
"""

import dataclasses
import pathlib

from keras_kd.data import datasets
from keras_kd.study import design
from keras_kd.training import config
from keras_kd.utils import identity, limits

COLUMNS = ("data", "fingerprint", "recipe")

# Of datasets that are the same everywhere.
TEST_IMAGES = {datasets.DEFAULT: 360}

_USUAL = {
    field.name: field.default
    for field in dataclasses.fields(config.Settings)
    if field.name not in design.AXES
}


def columns(described):
    """`{column: text}` of what `training.description.describe` tells, or of a study's identity."""
    dataset, settings = described["dataset"], described["settings"]
    return {
        "data": _data(dataset["name"]),
        "fingerprint": dataset.get("fingerprint", ""),
        "recipe": " ".join(
            f"{name}={settings[name]}"
            for name, usual in _USUAL.items()
            if name in settings and (name == "batch_size" or settings[name] != usual)
        ),
    }


def of_rows(path, rows):
    """`{column: text}` of what the rows of a table say; empty for a table of earlier versions.

    Raises:
      ValueError: if they do not all say the same.
    """
    found = {}
    for name in COLUMNS:
        texts = {row.get(name) or "": row["run"] for row in rows}
        if len(texts) > 1:
            (one, first), (two, second) = list(texts.items())[:2]
            raise ValueError(
                f"{path}: a table's runs have the same {name}. Received: {limits.shown(one)} for {first}, "
                f"{limits.shown(two)} for {second}"
            )
        found[name] = next(iter(texts), "")
    return {name: text for name, text in found.items() if text}


def check(path, told, study):
    """Raises a ValueError if a table is of other data or another recipe than the study is asked for.

    Args:
      path: of the table.
      told: `{column: text}`, as far as it is known.
      study: the `config.StudyConfig`.
    """
    was, now = {}, {}
    if "data" in told:
        was["data"], now["data"] = told["data"], _data(study.dataset)
    if "recipe" in told:
        try:
            was |= settings(told["recipe"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        now |= {name: getattr(study.settings, name) for name in _USUAL}
        if study.default_batch:  # smaller where the dataset is small
            now["batch_size"] = was["batch_size"]
    changes = identity.differences(was, now)
    if changes:
        raise ValueError(
            f"{path} is not of the study {study.name} with these data and this recipe: {changes}"
        )


def check_images(path, images, study):
    """Raises a ValueError if accuracies are whole numbers of other test images than the study's dataset has.

    Args:
      path: of the table.
      images: the least number of which they are, or 0: not known.
      study: the `config.StudyConfig`.
    """
    known = TEST_IMAGES.get(study.dataset)
    if known and images and known % images:
        raise ValueError(
            f"{path} is not of {study.dataset}, which has {known} test images. Received: accuracies that are "
            f"whole numbers of {images}"
        )


def settings(recipe):
    """`{name: value}` of all settings that are not axes, from the text of a recipe.

    Raises:
      ValueError: for what is none.
    """
    found = {}
    for part in recipe.split():
        name, _, text = part.partition("=")
        try:
            usual = _USUAL[name]
            found[name] = text == "True" if isinstance(usual, bool) else type(usual)(text)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"recipe must be settings as in epochs=20 batch_size=64. Received: {limits.shown(part)}"
            ) from error
    return _USUAL | found


def _data(name):
    return pathlib.PurePath(name).name
