"""Imports point down only, and TensorFlow stays where it belongs."""

import ast
import json

import numpy as np
import pytest
from conftest import ROOT, run_python, tiny_arrays

# From the bottom up: a module imports only modules named before it.
ORDER = [
    "resnet",
    "losses",
    "taps",
    "costs",
    "storage",
    "checkpoints",
    "runs",
    "hosts",
    "comparisons",
    "datasets",
    "compatibility",
    "plots",
    "progress",
    "callbacks",
    "distiller",
    "augmentation",
    "study",
    "pools",
    "paired",
    "claims",
    "verdicts",
    "findings",
    "pages",
    "charts",
    "spaces",
    "search_pictures",
    "landscape_pictures",
    "reuse_pictures",
    "views",
    "report",
    "mentors",
    "plans",
    "inference",
    "gradients",
    "batch_norm",
    "subspaces",
    "landscape",
    "surveys",
    "curvature",
    "terrain",
    "reuse",
    "lesions",
    "pieces",
    "anatomy",
    "folding",
    "teachers",
    "feeding",
    "devices",
    "optimization",
    "tensorboard",
    "pipeline",
    "validation",
    "loop",
    "fitting",
    "serving",
    "parity",
    "export",
    "extras",
    "litert",
    "onnx_file",
    "cards",
    "latency",
    "cost_pictures",
    "training",
    "grids",
    "run_training",
    "oracles",
    "crews",
    "search",
]
TENSORFLOW = ["pipeline", "validation", "loop", "fitting"]
# Their functions ask for TensorFlow where it is the backend, or its files are wanted.
ASK_LATER = [
    "datasets",
    "inference",
    "gradients",
    "devices",
    "batch_norm",
    "optimization",
    "tensorboard",
    "serving",
    "export",
    "litert",
    "onnx_file",
    "training",
]
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
    names = imports(PACKAGE / f"{module}.py", top_level_only=module in ASK_LATER)
    roots = {name.split(".")[0] for name in names}
    assert not roots & {"tensorflow", "tensorflow_datasets", "tensorboard"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_private_api_is_imported(path):
    for name in imports(path):
        assert not name.startswith(("keras.src", "tensorflow.python")), name


def test_the_main_job_runs_on_jax_without_tensorflow(tmp_path):
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    script = """
import runpy, sys
for name in ("tensorflow", "tensorflow_datasets", "tensorboard"):
    sys.modules[name] = None
runpy.run_module("experiments.distill", run_name="__main__", alter_sys=True)
"""
    flags = ["--dataset=tiny.npz", "--epochs=1", "--batch_size=24", "--teacher_views=1", "--out=runs/jax"]
    sizes = [f"--{network}_{size}" for network in ("teacher", "student") for size in ("depth=8", "width=4")]
    status, output, errors = run_python(
        "-c", script, *flags, *sizes, cwd=tmp_path, KERAS_BACKEND="jax", JAX_DISABLE_MOST_OPTIMIZATIONS="1"
    )
    assert status == 0, errors[-3000:]
    assert "student distilled" in output
    run = tmp_path / "runs" / "jax"
    result = json.loads((run / "result.json").read_text())
    assert result["versions"].keys() >= {"jax", "keras"}
    assert 0 <= result["networks"]["student_distilled"]["accuracy"] <= 1
    assert {path.name for path in run.iterdir()} >= {"student.keras", "log.txt", "curves.png"}
    assert not (run / "tensorboard").exists()
