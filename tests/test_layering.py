"""Imports point down only, and TensorFlow stays where it belongs."""

import ast

import pytest
from conftest import ROOT, run_python

# From the bottom up: a module imports only modules named before it.
ORDER = [
    "resnet",
    "losses",
    "taps",
    "storage",
    "checkpoints",
    "runs",
    "hosts",
    "verdicts",
    "datasets",
    "compatibility",
    "plots",
    "progress",
    "callbacks",
    "distiller",
    "augmentation",
    "plans",
    "inference",
    "teachers",
    "pipeline",
    "devices",
    "validation",
    "loop",
    "tensorboard",
    "optimization",
    "export",
    "training",
]
TENSORFLOW = ORDER[ORDER.index("pipeline") :]
PACKAGE = ROOT / "keras_kd"
SOURCES = sorted(
    path for folder in ("keras_kd", "experiments", "tests") for path in (ROOT / folder).glob("*.py")
)


def imports(path, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_has_its_place():
    found = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert found == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_down(module):
    below = ORDER[: ORDER.index(module)]
    for name in imports(PACKAGE / f"{module}.py"):
        parts = name.split(".")
        if parts[0] == "keras_kd":
            assert parts[1] in below, f"{module} imports {name}"
        assert parts[0] != "experiments", f"{module} imports {name}"
        assert not name.startswith("absl"), f"{module} reads flags"


@pytest.mark.parametrize("module", [name for name in ORDER if name not in TENSORFLOW])
def test_the_core_does_not_need_tensorflow(module):
    """`datasets` and `inference` ask for it inside functions that need it."""
    asks_later = module in ("datasets", "inference")
    roots = {name.split(".")[0] for name in imports(PACKAGE / f"{module}.py", asks_later)}
    assert not roots & {"tensorflow", "tensorflow_datasets", "tensorboard"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_private_api_is_imported(path):
    for name in imports(path):
        assert not name.startswith(("keras.src", "tensorflow.python")), name


def test_the_package_imports_and_trains_without_tensorflow():
    script = """
import sys
for name in ("tensorflow", "tensorflow_datasets", "tensorboard"):
    sys.modules[name] = None
import keras_kd, numpy as np, keras
x = np.zeros((8, 8, 8, 1), "float32")
net = lambda: keras_kd.cifar_resnet(8, (8, 8, 1), width=2)
distiller = keras_kd.Distiller(net(), net())
distiller.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
print(distiller.fit(x, np.arange(8), verbose=0).history["loss"])
"""
    status, output, errors = run_python("-c", script, KERAS_BACKEND="jax")
    assert status == 0, errors
    assert float(output.strip("[]\n")) > 0
