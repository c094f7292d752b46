"""Models written to files, atomically, and read back with safe mode on."""

import pathlib
import re

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
      ValueError: if it is truncated, holds code (a Lambda) or an unknown class, or no built layers.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}: give the path of a .keras file")
    try:
        if path.suffix == ".keras":
            files.check_archive(path)
        with deep_graphs():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever the readers of a damaged file stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        if "Lambda" in reason or "lambda" in reason:
            raise ValueError(
                f"{path}: holds a Lambda, that is code, which is never run: rebuild the network "
                f"from layers and save it again"
            ) from error
        if missing := re.search(r"No module named '([\w.]+)'", reason):
            raise ValueError(
                f"{path}: has layers of {missing[1]!r}, which is not installed: rebuild the network from "
                f"Keras's own layers and save it again"
            ) from error
        raise ValueError(f"{path}: is not a whole .keras file ({reason[:200]})") from error
    _check_network(model, path)
    return model


def _check_network(model, path):
    """A file may be whole and hold nothing that computes."""
    is_empty = all(isinstance(layer, keras.layers.InputLayer) for layer in getattr(model, "layers", ()))
    if not isinstance(model, keras.Model) or (is_empty and not model.weights):
        raise ValueError(f"{path}: holds no layers, so it is no network")
    if not model.built:
        raise ValueError(
            f"{path}: holds a network that was never built: call it on images, and save it again"
        )
