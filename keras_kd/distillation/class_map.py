"""Which of a teacher's outputs means which class of its student, told by a dict or a file.

    places = class_map.places("map.json", dataset.class_names, outputs=1000)

A file is one of

    .json  {"cat": 281, "dog": 207}     student's class: the teacher's output, counted from 0
           ["tench", "goldfish", ...]   the teacher's classes in the order of its outputs
    .csv   cat,281                      the same as the first, a class a line; a first line may be titles
    .txt   tench                        the same as the second, a class a line
"""

import csv
import json
import operator
import os
import pathlib

from keras_kd.utils import limits

SUFFIXES = (".json", ".csv", ".txt")

NAMED = 5  # of many classes, in a message


def places(given, class_names, outputs):
    """For each of a student's classes the place of the teacher's output that means it.

    Args:
      given: `{student's class: place, or text of one}`; a list of the teacher's classes in the order of its
        outputs, among which the student's are found by name; or the path of such a file.
      class_names: of the student.
      outputs: how many the teacher has.

    Returns:
      A list of whole numbers, from 0 to `outputs` - 1, all different.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: for a file or value that is none of these, classes that are missing, unknown or named twice,
        and places out of range or named twice.
    """
    where = "class_map"
    if isinstance(given, (str, os.PathLike)):
        where = str(given)
        given = _read(pathlib.Path(given), class_names)
    if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given):
        found = _by_name(given, class_names, outputs, where)
    elif isinstance(given, dict):
        found = given
    else:
        raise ValueError(
            f"{where}: must be a dict of the student's classes and places of the teacher's outputs, or a "
            f"list of the teacher's classes. Received: {limits.shown(given)}"
        )
    _check_classes(found, class_names, where)
    return _checked({name: found[name] for name in class_names}, outputs, where)


def in_words(found, class_names, outputs):
    """`places` as a line says them."""
    pairs = [f"{name!r} <- {place}" for name, place in zip(class_names, found, strict=True)]
    more = f", and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
    return f"{len(found)} of its {outputs:,} outputs: {', '.join(pairs[:NAMED])}{more}"


def _read(path, class_names):
    """What a file holds, as `places` takes it."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: a class map ends in {', '.join(SUFFIXES)}. Received: {path.name!r}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}: give the path of a class map")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return json.loads(text, object_pairs_hook=_each_once)
        if path.suffix.lower() == ".txt":
            return [line.strip() for line in text.splitlines() if line.strip()]
        rows = [row for row in csv.reader(text.splitlines(), strict=True) if any(row)]
    except (ValueError, csv.Error, RecursionError) as error:
        raise ValueError(f"{path}: is no class map: {error}") from error
    wrong = [row for row in rows if len(row) != 2]
    if wrong or not rows:
        received = f"Received: {limits.shown(wrong[0])}" if wrong else "Received: an empty file"
        raise ValueError(f"{path}: each line of a class map is a class, a comma and a place. {received}")
    pairs = [(name.strip(), place.strip()) for name, place in rows]
    if pairs[0][0] not in class_names and not pairs[0][1].isdecimal():
        pairs = pairs[1:]  # titles
    try:
        return _each_once(pairs)
    except ValueError as error:
        raise ValueError(f"{path}: is no class map: {error}") from error


def _each_once(pairs):
    limits.check_each_once("the classes", [name for name, _ in pairs])
    return dict(pairs)


def _by_name(names, class_names, outputs, where):
    """`{student's class: place}`, from the teacher's classes in order."""
    if len(names) != outputs:
        raise ValueError(
            f"{where}: the teacher's classes must be as many as its {outputs} outputs. Received: {len(names)}"
        )
    found = {name: names.index(name) for name in class_names if name in names}
    twice = [name for name in found if names.count(name) > 1]
    if twice:
        raise ValueError(f"{where}: the teacher has two classes {twice[0]!r}: map that one by its place")
    return found


def _check_classes(found, class_names, where):
    missing = [name for name in class_names if name not in found]
    unknown = [name for name in found if name not in class_names]
    if unknown or missing:
        what = f"is no class of the dataset: {unknown[0]!r}" if unknown else f"is missing: {missing[0]!r}"
        raise ValueError(
            f"{where}: a class {what}. Name each of the dataset's {len(class_names)} classes once: "
            f"{', '.join(map(repr, class_names[:NAMED]))}{', ...' if len(class_names) > NAMED else ''}"
        )


def _checked(found, outputs, where):
    """The places in the order of the classes."""
    checked = {}
    for name, place in found.items():
        try:
            number = int(place) if isinstance(place, str) else operator.index(place)
        except (TypeError, ValueError):
            number = -1
        if isinstance(place, bool) or not 0 <= number < outputs:
            raise ValueError(
                f"{where}: the class {name!r} must have a place from 0 to {outputs - 1}, of one of the "
                f"teacher's outputs. Received: {limits.shown(place)}"
            )
        if number in checked.values():
            other = next(key for key, value in checked.items() if value == number)
            raise ValueError(f"{where}: two classes have the place {number}: {other!r} and {name!r}")
        checked[name] = number
    return list(checked.values())
