"""A study judged and drawn again from its table alone: nothing is trained, no dataset is read.

result = redraw(session.read("routes_cifar10"), "experiments/results/routes_cifar10.csv", command="...")
"""

import contextlib
import dataclasses
import fractions
import math
import pathlib

from keras_kd.study import design, origin, run_folders, table
from keras_kd.study.findings import summary
from keras_kd.study.findings.results import StudyResult
from keras_kd.study.run_result import MEASURED, RunResult
from keras_kd.study.runner import STUDY, RunRecord
from keras_kd.utils import files, run_dir


def redraw(study, path, *, command):
    """The `StudyResult` of the runs that a table has.

    Claims are judged as when the study ended, but that the number of test images is the least that the
    accuracies allow (for digits the true one): an image counts for no less then. A table does not hold the
    training curves, nor which machine and versions it was; they are told where the study's own folder lies
    beside it.

    Args:
      study: the `config.StudyConfig` that the runs are of.
      path: of a `results.csv`.
      command: what was typed, for the page.

    Returns:
      `(result, strange)`: the `StudyResult`, and the names of the table's runs that the study has not.

    Raises:
      ValueError: if the table cannot be read, has no run of the study, or is of other data or another recipe.
    """
    path = pathlib.Path(path)
    rows = {row["run"]: row for row in table.read_rows(path, ("validation_accuracy",))}
    known = {run.key: run for run in study.runs}
    strange = [name for name in rows if name not in known]
    records = {run: _record(run, rows[key], path) for key, run in known.items() if key in rows}
    if not records:
        raise ValueError(
            f"{path} has no run of the study {study.name!r}; its first is {next(iter(rows), 'none')!r}"
        )
    kept = _kept(path.parent)
    own = [row for name, row in rows.items() if name in known]
    described = _description(study, path, own, records, kept.get("identity", {}))
    judged = summary.summarize(
        records,
        study.claims,
        margin=study.margin,
        test_examples=described["dataset"]["examples"]["test"],
        planned=study.runs,
    )
    result = StudyResult(
        study=study.name,
        question=study.question,
        claims=study.claims,
        command=command,
        seeds=tuple(seed for seed in study.seeds if any(run.seed == seed for run in records)),
        margin=study.margin,
        description=described,
        summary=judged,
        grew=kept.get("grew", False),
    )
    return result, strange


def seeds_of(path):
    """The seeds that a `results.csv` has runs of, rising."""
    return sorted({row["seed"] for row in table.read_rows(path)})


def _record(run, row, path):
    with table.naming(path, run.key):
        _check_axes(run, row)
    if row["status"] == table.FAILED:
        return RunRecord(run, error=row.get("error") or "the table does not say why")
    measured = {name: row.get(name) for name in MEASURED}
    return RunRecord(run, RunResult(**measured, start="", history=_history(path.parent, run, row)))


def _check_axes(run, row):
    """Raises a ValueError if a row's columns are of another run than its name; earlier tables lack some."""
    for name, value in (dict.fromkeys(design.LATER) | run.describe()).items():
        if name in row and not _says(row[name], value):
            wanted = "blank" if value is None else repr(value)
            raise ValueError(f"{name} must be {wanted}, by the run's name. Received: {row[name]!r}")


def _says(text, value):
    """Whether a cell has this value; spreadsheets write numbers in their own way."""
    if isinstance(value, (int, float)):
        with contextlib.suppress(ValueError, TypeError):
            return float(text) == value
    return text == ("" if value is None else str(value))


def _history(folder, run, row):
    """What a run wrote down of its epochs, if its folder is there; else the end of it that the table has."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return files.read_json(run_folders.path(folder, run.key) / run_dir.RESULT)["history"]
    last, rise = row.get("training_accuracy"), row.get("training_change")
    if last is None:
        return {}
    return {"accuracy": [last] if rise is None else [last - rise, last]}


def _kept(folder):
    """What the study's folder says of it; nothing where it is not there."""
    with contextlib.suppress(OSError, ValueError):
        return files.read_json(folder / STUDY)
    return {}


def _description(study, path, rows, records, identity):
    """Data, settings and versions as far as they are known, which must be those of the study."""
    beside = origin.columns(identity) if identity else {}
    told = origin.of_rows(path, rows) or beside
    for place, each in ((path, told), (path.parent / STUDY, beside)):
        origin.check(place, each, study)
    origin.check_images(path, images_tested(records), study)
    settings = {
        name: value for name, value in dataclasses.asdict(study.settings).items() if name not in design.AXES
    }
    if "recipe" in told:
        settings |= origin.settings(told["recipe"])
    elif study.default_batch:  # smaller than that where the dataset is small
        del settings["batch_size"]
    images = origin.TEST_IMAGES.get(study.dataset) or images_tested(records)
    dataset = {"name": study.dataset, "examples": {"test": images}}
    dataset |= {"fingerprint": told["fingerprint"]} if "fingerprint" in told else {}
    return {
        "settings": identity.get("settings", settings),
        "dataset": identity.get("dataset", dataset),
        "versions": identity.get("versions", {}),
        "machine": {},
    }


# More test images than any dataset has: then the accuracies are no whole numbers of images.
_MOST_IMAGES = 200_000


def images_tested(records):
    """The least number of test images of which all accuracies are whole numbers; 0 where they say none.

    Args:
      records: `{design.Run: RunRecord}`.
    """
    shares = [
        share
        for record in records.values()
        if record.result
        for share in (record.result.accuracy, record.result.agreement)
        if share is not None
    ]
    denominators = set()
    for share in shares:
        near = fractions.Fraction(share).limit_denominator(_MOST_IMAGES)
        if abs(near - fractions.Fraction(share)) > 1e-9:
            return 0
        denominators.add(near.denominator)
    images = math.lcm(*denominators)
    return images if 1 < images <= _MOST_IMAGES else 0
