"""Files that are whole or not there, and networks read without running code from them."""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import shutil
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


def read_arrays(path):
    """Reads an `.npz` file, never a pickle in it, after comparing every checksum.

    Returns:
      `{name: array}`.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is truncated or otherwise not what was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: is not a whole .npz file ({reason[:200]})") from error


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
    """Writes JSON, atomically; keys keep their order."""
    write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", path)


def write_text(text, path):
    """Writes a text file, atomically; its folder is made."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def replace_folder(part, path):
    """Puts the finished folder `part` in the place of `path`, which may exist."""
    old = path.with_name(f".old-{path.name}")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(part, path)
    shutil.rmtree(old, ignore_errors=True)
