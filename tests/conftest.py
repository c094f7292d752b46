"""Shared fixtures. `KERAS_BACKEND=jax pytest` runs the core's tests alone, without TensorFlow."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # each core has a worker of its own
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CORE_TESTS = [
    "test_augmentation.py",
    "test_checkpoints.py",
    "test_comparisons.py",
    "test_compatibility.py",
    "test_curvature.py",
    "test_datasets.py",
    "test_distiller.py",
    "test_feeding.py",
    "test_folding.py",
    "test_inference.py",
    "test_landscape.py",
    "test_lesions.py",
    "test_losses.py",
    "test_plans.py",
    "test_resnet.py",
    "test_reuse.py",
    "test_runs.py",
    "test_storage.py",
    "test_subspaces.py",
    "test_surveys.py",
    "test_taps.py",
    "test_teachers.py",
    "test_verdicts.py",
]

if keras.backend.backend() == "tensorflow":
    collect_ignore = ["test_feeding.py"]  # there `test_training` has images on the device too
else:
    collect_ignore = [
        path.name for path in pathlib.Path(__file__).parent.glob("test_*.py") if path.name not in CORE_TESTS
    ]


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left alone with them at the end.

    And last what cannot be undone in a process.
    """
    slow, last = (
        {item.path for item in items if item.get_closest_marker(marker)} for marker in ("slow", "last")
    )
    items.sort(key=lambda item: (item.path in last, item.path not in slow))


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


def tiny_arrays(rng, train=80, test=24, classes=4, shape=(8, 8, 3)):
    arrays = {}
    for key, count in (("train", train), ("test", test)):
        labels = np.arange(count) % classes
        noise = rng.integers(0, 40, (count, *shape))
        arrays[f"x_{key}"] = (noise + 50 * labels.reshape(-1, *[1] * len(shape))).astype(np.uint8)
        arrays[f"y_{key}"] = labels
    return arrays


def mlp(units=8, classes=4, seed=0, name=None, **dense):
    """A small classifier without BatchNorm or dropout."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(units, "relu", **dense),
            keras.layers.Dense(classes),
        ],
        name=name,
    )


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


def same(weights, others):
    """Whether two lists of weights are equal bit for bit."""
    return len(weights) == len(others) and all(map(np.array_equal, weights, others))


def sparse_ce(**kwargs):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **kwargs)


def run_python(*arguments, cwd=ROOT, timeout=600, **environment):
    """Runs Python in a process of its own; returns (exit status, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def error_line(stderr):
    """The one line a script ends in."""
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, stderr
    assert not re.search("Traceback", stderr), stderr
    return lines[0]
