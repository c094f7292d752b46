"""Models written to files, atomically, and read back with safe mode on."""

import pathlib
import zipfile

import keras

from keras_kd.models.graph import deep_graphs
from keras_kd.utils import files


def save_model(model, path):
    """Writes a model as a `.keras` file, atomically, without its optimiser and its losses.

    Plain Keras then reads it: what it was trained with may be a class of ours.

    Args:
      model: a `keras.Model`.
      path: ends in `.keras`; its folder is made.
    """
    compiled, model.compiled = model.compiled, False
    try:
        with files.replacing(path) as part, deep_graphs():
            model.save(part)
    finally:
        model.compiled = compiled


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
