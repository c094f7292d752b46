"""Shared fixtures. `KERAS_BACKEND=jax pytest` runs the core's tests alone, without TensorFlow."""

import gc
import os
import pathlib
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Off by itself on CPUs without AVX-512, whose convolutions then take no channels first.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # each core has a worker of its own
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import numpy as np
import pytest

from tests.support.arrays import tiny_arrays
from tests.support.rooms import CORE_TESTS

TESTS = pathlib.Path(__file__).parent

# Keras is not imported here: the process that hands tests out to xdist's workers does without.
gc.disable()  # until the tests are collected, which imports a million objects that stay

if os.environ["KERAS_BACKEND"] == "tensorflow":
    collect_ignore = ["data/test_device_images.py"]  # there `test_training` has images on the device too
else:
    collect_ignore = [
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("test_*.py")
        if str(path.relative_to(TESTS)) not in CORE_TESTS
    ]


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left alone with them at the end: first the longest.

    And last what cannot be undone in a process.
    """
    slow, last = (
        {item.path for item in items if item.get_closest_marker(marker)} for marker in ("slow", "last")
    )
    system = TESTS / "system"  # processes that are killed, waited for and given again
    items.sort(key=lambda item: (item.path in last, item.path not in slow, system not in item.path.parents))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Refuses deterministic operations, which stay and rule out XLA, to what is not marked to come last."""
    if item.get_closest_marker("last") or "tensorflow" not in sys.modules:
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tensorflow.config.experimental.enable_op_determinism", _refused)
        return (yield)


def _refused():
    raise AssertionError(
        "operations stay deterministic in this process: mark the test with `pytest.mark.last`"
    )


def pytest_collection_finish():
    """Spares the collector what the imports made: a fifth of the time of a test that trains."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def data(rng):
    """48 random 8x8 images and labels of 4 classes."""
    x = rng.normal(size=(48, 8, 8, 1)).astype("float32")
    return x, rng.integers(0, 4, 48)


@pytest.fixture
def npz(tmp_path, rng):
    """A small .npz dataset: 4 classes told apart by their brightness."""
    path = tmp_path / "tiny.npz"
    np.savez(path, **tiny_arrays(rng))
    return path
