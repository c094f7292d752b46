"""Files that are whole or not there, and networks read without running code from them."""

import json
import os
import pathlib
import shutil
import zipfile

import keras

from keras_kd.resnet import deep_graphs


def save_model(model, path):
    """Writes a model as a `.keras` file, atomically, without its optimiser and its losses.

    Plain Keras then reads it: what it was trained with may be a class of ours.

    Args:
      model: a `keras.Model`.
      path: ends in `.keras`; its folder is made.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    compiled, model.compiled = model.compiled, False
    try:
        with deep_graphs():
            model.save(part)
        os.replace(part, path)
    finally:
        model.compiled = compiled
        part.unlink(missing_ok=True)


def load_model(path):
    """Reads a `.keras` file in safe mode, without its training state.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: if it is truncated, or holds code (a Lambda) or an unknown class.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}: give the path of a .keras file")
    try:
        with deep_graphs():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        if "Lambda" in reason or "lambda" in reason:
            raise ValueError(
                f"{path}: holds a Lambda, that is code, which is never run: rebuild the network "
                f"from layers and save it again"
            ) from error
        raise ValueError(f"{path}: is not a whole .keras file ({reason[:200]})") from error


def write_json(values, path):
    """Writes JSON, atomically."""
    write_text(json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n", path)


def write_text(text, path):
    """Writes a text file, atomically; its folder is made."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def replace_folder(part, path):
    """Puts the finished folder `part` in the place of `path`, which may exist."""
    old = path.with_name(f".old-{path.name}")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(part, path)
    shutil.rmtree(old, ignore_errors=True)
