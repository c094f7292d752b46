"""Packages that only some want."""

import importlib


def need(module, extra):
    """Imports a package of an extra.

    Args:
      module: its name, such as "onnxruntime".
      extra: that `setup.py` has it in.

    Raises:
      ImportError: if it is not installed; the message says the one line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"{module} is not installed: pip install 'keras_kd[{extra}]'") from error
