"""A study's `results.csv` read: each row is checked before a number of it counts.

accuracies = {row["run"]: row["accuracy"] for row in table.read_rows("experiments/results/depth.csv")}
"""

import collections
import contextlib
import csv
import pathlib

from keras_kd.study import run_result
from keras_kd.utils import limits

# The name of the table in a study's folder.
RESULTS = "results.csv"

DONE, FAILED = "done", "failed"

_NEEDED = ("run", "cell", "seed", "status", "accuracy")

# What numbers may be, where a row has them.
_NUMBERS = {
    **run_result.MEASURED,
    "training_accuracy": limits.SHARE,
    "training_change": limits.Range(-1, 1),
    "teacher_accuracy": limits.SHARE,
    "seed": limits.SEED,
}


def read_rows(path, needed=()):
    """The rows of a `results.csv`: `[{column: value}]`, None where a number is not there, texts as they are.

    Args:
      path: of the table.
      needed: columns that a run that is done must have, beside its accuracy.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if a column is missing, or a row is cut, there twice, or says what cannot be; the
        message names the run.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no table {str(path)!r}")
    rows = [_checked(path, row, ("accuracy", *needed)) for row in _texts(path, {*_NEEDED, *needed})]
    for name, count in collections.Counter(row["run"] for row in rows).items():
        if count > 1:
            raise ValueError(f"{path}: run {name} stands there {count} times: keep the row that is right")
    return rows


def _texts(path, needed):
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte-order mark
            reader = csv.DictReader(file)
            names, rows = reader.fieldnames or (), list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no table of a study ({error})") from error
    missing = needed - set(names)
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(sorted(missing))}: a study's table has its columns' names, "
            f"with commas between, in its first line. Received: {limits.shown(','.join(names))}"
        )
    return rows


def _checked(path, row, needed):
    """The row with numbers for texts."""
    with naming(path, row["run"]):
        if None in row or None in row.values():
            raise ValueError(f"the line must have a place for each column. Received: {_found(row)}")
        if row["status"] not in (DONE, FAILED):
            raise ValueError(f"status must be {DONE} or {FAILED}. Received: {row['status']!r}")
        numbers = {name: _number(name, row[name], kind) for name, kind in _NUMBERS.items() if name in row}
        if row["run"] != f"{row['cell']}-s{numbers['seed']}":
            raise ValueError(f"its name must be cell-sSEED. Received: cell={row['cell']}, seed={row['seed']}")
        if row["status"] == DONE:
            for name in needed:
                if numbers[name] is None:
                    raise ValueError(f"{name} is missing, though the run is done")
    return row | numbers


def _found(row):
    """How many values a line has that are too few or too many."""
    columns = len(row) - (None in row)
    values = columns - list(row.values()).count(None) + len(row.get(None, ()))
    return f"{values} values for {columns} columns"


def _number(name, text, allowed):
    if not text:
        return None
    with contextlib.suppress(ValueError):
        text = int(text) if allowed.whole else float(text)
    return allowed.check(name, text)


@contextlib.contextmanager
def naming(path, run):
    """What is wrong in the block is said of this run of the table."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: run {run}, {error}") from error
