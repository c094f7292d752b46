"""Imports point down only, TensorFlow stays where it belongs, and no private API is used."""

import ast
import json
import re

import numpy as np
import pytest
from importlinter.cli import lint_imports

from tests.support.arrays import tiny_arrays
from tests.support.processes import ROOT, run_python

# Where TensorFlow may be imported at the top of a module; elsewhere functions import it when they need it.
TENSORFLOW = {
    "data/tf_pipeline.py",
    "training/distributed/loop.py",
    "training/distributed/validation.py",
}
PACKAGE = ROOT / "keras_kd"
SOURCES = [
    path for folder in ("keras_kd", "experiments", "tests") for path in sorted((ROOT / folder).rglob("*.py"))
]


def imports(path, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_rooms_import_those_to_their_left_alone(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


def test_tensorflow_is_imported_on_top_of_few_modules():
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for name in imports(path, top_level_only=True)
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets", "tensorboard")
    }
    assert found == TENSORFLOW


def test_no_private_api_is_imported():
    private = ("keras.src", "tensorflow.python")
    found = [(path, name) for path in SOURCES for name in imports(path) if name.startswith(private)]
    assert not found


# Classes, and a distribution, of others.
OF_OTHERS = {"BackupAndRestore", "Beta", "Bidirectional", "ImageEnhance", "MobileNetV3Small"}


def test_classes_that_docstrings_name_are_there():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    known = {getattr(node, field, None) for node in nodes for field in ("name", "id", "attr")} | OF_OTHERS
    documented = [node for node in nodes if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    for text in filter(None, map(ast.get_docstring, documented)):
        named = re.findall(r"`([A-Z][a-z]\w*)`|\b([A-Z][a-z]\w*)\(", text)
        unknown = {name for pair in named for name in pair if name} - known
        assert not {name for name in unknown if f"class {name}" not in text}, text


@pytest.mark.slow
def test_the_main_job_runs_on_jax_without_tensorflow(tmp_path):
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    script = """
import runpy, sys
for name in ("tensorflow", "tensorflow_datasets", "tensorboard"):
    sys.modules[name] = None
runpy.run_module("experiments.distill", run_name="__main__", alter_sys=True)
"""
    flags = ["--dataset=tiny.npz", "--epochs=1", "--batch_size=24", "--teacher_views=1", "--out=runs/jax"]
    flags += ["--shortcut_removal=none", "--jobs=1"]
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
    assert not list(run.rglob("events.*"))
