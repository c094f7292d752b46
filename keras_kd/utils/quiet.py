"""TensorFlow imported without what it says of itself; whatever else it prints is shown.

Its first lines come before any setting is read: that oneDNN is on, that there is no CUDA, which instructions
were compiled in. They are taken out of what is written to stderr while it is imported.
"""

import contextlib
import glob
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile

_OF_ITSELF = re.compile(
    rb"^WARNING: All log messages before absl::InitializeLog"
    rb"|^I0000 |^\d{4}-\d\d-\d\d [\d:.]+: I "
    rb"|^To enable the following instructions"
)
# Said where there is no GPU, of a GPU.
_OF_NO_GPU = re.compile(rb"cuInit|cudart|Cannot dlopen some GPU libraries|Skipping registering GPU devices")


def install():
    """Makes the first import of TensorFlow in this process quiet; does nothing if it is there already."""
    if "tensorflow" not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # no information; warnings and errors are shown
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        with filtered_stderr():
            self._loader.exec_module(module)
            if not _has_nvidia():
                module.config.list_physical_devices("GPU")  # says that there is none


@contextlib.contextmanager
def filtered_stderr(is_noise=None):
    """What is written to file descriptor 2 comes out at the end, less what is noise.

    Args:
      is_noise: a function of a line, as bytes; None: whether TensorFlow says it of itself.
    """
    is_noise = is_noise or _is_noise
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            written.seek(0)
            for line in written:
                if not is_noise(line):
                    os.write(2, line)


def _is_noise(line):
    return bool(_OF_ITSELF.search(line) or (not _has_nvidia() and _OF_NO_GPU.search(line)))


def _has_nvidia():
    return bool(glob.glob("/dev/nvidia[0-9]*"))
