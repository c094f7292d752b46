"""Files that are whole or not there, and read without running code from them."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import pathlib
import zipfile

import numpy as np


@contextlib.contextmanager
def replacing(path):
    """Lends a path to write to; what is there afterwards takes the place of `path`, atomically.

    An error leaves `path` as it was, and nothing beside it.

    Args:
      path: of the file; its folder is made.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # else a power cut could leave an empty file under the name
        os.replace(part, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say whose file it was
        raise
    finally:
        part.unlink(missing_ok=True)


def write_arrays(arrays, path):
    """Writes `{name: array}` as an `.npz` file, atomically."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def check_archive(path):
    """Compares every checksum of a zip file, such as .npz and .keras.

    Raises:
      ValueError: if one is wrong; whatever `zipfile` raises if it is no zip file.
    """
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")


def read_arrays(path):
    """Reads an `.npz` file, never a pickle in it, after comparing every checksum.

    Returns:
      `{name: array}`.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is truncated or otherwise not what was written.
    """
    try:
        check_archive(path)
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever the readers of a damaged file stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: is not a whole .npz file ({reason[:200]})") from error


def sha256(paths, folder):
    """SHA-256 of files and of their names in a folder, as text.

    Args:
      paths: of the files, in the order in which they count.
      folder: that holds them.
    """
    found = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        found.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return found.hexdigest()


def plain_values(value):
    """A structure that JSON can hold: arrays as lists, dataclasses as dicts, None for what is not finite."""
    if dataclasses.is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(values, path):
    """Writes JSON, atomically; keys keep their order. A dict also gets its own checksum, for `read_json`."""
    if isinstance(values, dict):
        values = values | {_CHECKSUM: _checksum(values)}
    write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", path)


_CHECKSUM, _SHA256 = "checksum", "sha256:"


def _checksum(values):
    plain = json.loads(json.dumps(values, allow_nan=False))
    return _SHA256 + hashlib.sha256(json.dumps(plain).encode()).hexdigest()


class DamagedFileError(ValueError):
    """A file is not what was written there.

    Attributes:
      path: of the file, which stays as it is.
      reason: what is wrong with it.
    """

    def __init__(self, path, reason):
        super().__init__(path, reason)  # with which another process makes it again
        self.path = path
        self.reason = " ".join(str(reason).split())[:200]

    def __str__(self):
        return (
            f"{self.path} is damaged ({self.reason}): put a whole copy in its place, or delete it, so that "
            f"the command that wrote it makes it again"
        )


def read_json(path, needed=()):
    """The dict in a file that `write_json` wrote.

    Args:
      path: of the file.
      needed: names that must be there.

    Raises:
      FileNotFoundError: if there is none.
      DamagedFileError: if it is not JSON, holds no dict, lacks a name, or was changed since it was written.
    """
    path = pathlib.Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(values, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, "it is empty" if not path.stat().st_size else error) from error
    if not isinstance(values, dict):
        raise DamagedFileError(path, f"it holds a {type(values).__name__}, not names and values")
    stored = values.pop(_CHECKSUM, None)
    others = [value for value in values.values() if isinstance(value, str) and value.startswith(_SHA256)]
    if others or stored not in (None, _checksum(values)):  # the name of the checksum may be what was damaged
        raise DamagedFileError(path, "its checksum is wrong")
    missing = [name for name in needed if name not in values]
    if missing:
        raise DamagedFileError(path, f"it has no {missing[0]!r}")
    return values


@contextlib.contextmanager
def interpreting(path):
    """What goes wrong in the block with values of a file is told as that file's damage."""
    try:
        yield
    except DamagedFileError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DamagedFileError(path, f"it does not say what it should, {reason}") from error


def write_text(text, path):
    """Writes a text file, atomically; its folder is made."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
