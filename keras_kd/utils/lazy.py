"""Names of a package, imported when first asked for (PEP 562), so that a command line starts at once."""

import importlib


def attach(package, names, before=None):
    """`(__getattr__, __dir__, __all__)` of a package.

    Args:
      package: its `__name__`.
      names: `{name: module below the package}`; a module that is called like the name is the name itself.
      before: name of a module below the package that is imported before any of them, or None.
    """

    def load(name):
        if name not in names:
            return _module(package, name)
        if before:
            importlib.import_module(f"{package}.{before}")
        module = importlib.import_module(f"{package}.{names[name]}")
        return module if names[name] == name else getattr(module, name)

    return load, lambda: sorted(names), sorted(names)


def _module(package, name):
    """A module below the package, which `names` leaves out and documentation may spell out all the same."""
    whole = f"{package}.{name}"
    try:
        if not name.startswith("_"):  # what Python itself asks of every module
            return importlib.import_module(whole)
    except ModuleNotFoundError as error:
        if error.name != whole:
            raise
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
