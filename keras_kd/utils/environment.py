"""What machine and packages measured numbers belong to."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform


def machine():
    """`{"system", "processor", "cores"}` of this machine."""
    return {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()}


def _processor():
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def versions(*packages):
    """`{package: version}` of those packages that are installed."""
    found = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def python_version():
    """Such as "3.11.7"."""
    return platform.python_version()
