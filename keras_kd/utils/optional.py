"""Packages that only some want."""

import importlib


class MissingPackageError(ImportError):
    """A package that only some want is not installed."""


def require(module, extra):
    """Imports a package of an extra.

    Args:
      module: its name, such as "onnxruntime".
      extra: that `setup.py` has it in.

    Raises:
      MissingPackageError: if it, or what it needs, is not installed; the message says the one line that
        installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        line = f"{error.name} is not installed: pip install 'keras_kd[{extra}]'"
        raise MissingPackageError(line) from error
