"""Shared fixtures. `KERAS_BACKEND=jax pytest` runs the core's tests alone, without TensorFlow."""

import json
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

import keras_kd

ROOT = pathlib.Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CORE_TESTS = [
    "test_augmentation.py",
    "test_checkpoints.py",
    "test_comparisons.py",
    "test_compatibility.py",
    "test_costs.py",
    "test_curvature.py",
    "test_datasets.py",
    "test_distiller.py",
    "test_feeding.py",
    "test_folding.py",
    "test_inference.py",
    "test_landscape.py",
    "test_latency.py",
    "test_lesions.py",
    "test_losses.py",
    "test_pieces.py",
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


def trio(depth=8):
    """A residual network and two plain ones, untrained, with weights of equal names and shapes."""
    found = {}
    for seed, label in enumerate(("residual", "plain", "plain + KD")):
        keras.utils.set_random_seed(seed)
        found[label] = keras_kd.cifar_resnet(depth, (8, 8, 1), 4, width=4, shortcuts=not seed)
    return found


def shaken(model, seed=1):
    """The model with random weights, statistics of BatchNorm included."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        fan_in = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 16
        draw = rng.normal(size=weight.shape) / np.sqrt(fan_in)
        positive = weight.path.endswith(("gamma", "variance"))
        weight.assign(np.abs(1 + draw) if positive else draw)
    return model


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


# One process for all: most of the time of a script that refuses its flags goes into imports.
_ASK_EACH = """
import importlib, json, sys
from absl import flags
from absl.testing import flagsaver
from experiments import console

name, cases = sys.argv[1], json.loads(sys.argv[2])
script = importlib.import_module(f"experiments.{name}")
for case in cases:
    with flagsaver.flagsaver():
        flags.FLAGS([name, *case])
        try:
            console.guarded(script.main, [name])
        except SystemExit as ended:
            print(f"status: {ended.code}", file=sys.stderr)
"""


def refusals(name, cases, cwd):
    """The line in which a script ends for each of some lists of flags, all of which it must refuse."""
    status, _, errors = run_python("-c", _ASK_EACH, name, json.dumps(cases), cwd=cwd)
    assert status == 0, errors[-3000:]
    answers = re.split(r"^status: 1$", errors, flags=re.M)[:-1]
    assert len(answers) == len(cases), errors[-3000:]
    return [error_line(answer) for answer in answers]


PROBE = """
<script>
window.errors = [];
window.addEventListener("error", event => errors.push(event.message));
document.addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective));
window.addEventListener("load", async () => {
  const found = {};
  const plots = [...document.querySelectorAll(".js-plotly-plot")];
  const marks = ".trace, .scatterlayer path, .hm image, .contour, .gl-container canvas";
  found.drawn = plots.map(plot => plot.querySelectorAll(marks).length);
  SCRIPT
  found.overflow = document.documentElement.scrollWidth - window.innerWidth;
  found.errors = errors;
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>
"""


def probed(page, folder, script, width=1200):
    """Opens a page in Chromium and asks it.

    Args:
      page: its text.
      folder: for temporary files.
      script: JavaScript that fills `found` with what is asked; it has `plots`.
      width: of the window, in pixels.

    Returns:
      `(found, console)`: what the script found, with `drawn`, `errors` and `overflow`; lines of the console.
    """
    probe = PROBE.replace("SCRIPT", script)
    path = folder / "probed.html"
    path.write_text(page.replace("<head>", f"<head>{probe}", 1), encoding="utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--no-first-run", "--use-gl=angle"),
            *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1000"),
            *("--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"),
            str(path),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    shutil.rmtree(folder / "profile", ignore_errors=True)
    advice = "Canvas2D: Multiple readback operations"  # the browser's, on speed
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line and advice not in line]
    return json.loads(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)[1]), console
