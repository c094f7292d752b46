"""`import keras_kd` starts at once, knows its names, and lets saved files load."""

import pathlib
import rlcompleter
import sys

import keras
import numpy as np
import pytest
import yaml

import keras_kd
from tests.support.processes import ROOT, run_python

FILES = pathlib.Path(__file__).parent / "support" / "files"


def test_the_names_are_there():
    assert set(dir(keras_kd)) == set(keras_kd.__all__)
    for name in keras_kd.__all__:
        assert getattr(keras_kd, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Destiller'"):
        _ = keras_kd.Destiller


def test_completion_shows_public_names_alone():
    completer = rlcompleter.Completer({"keras_kd": keras_kd})
    shown = {name.removeprefix("keras_kd.").rstrip("(") for name in completer.attr_matches("keras_kd.")}
    assert shown == set(keras_kd.__all__)
    assert not [name for name in shown if name.startswith("_") or name in sys.stdlib_module_names]


def test_the_version_stands_in_one_place():
    status, output, errors = run_python("setup.py", "--version", cwd=ROOT)
    assert status == 0, errors
    assert output.splitlines()[-1] == keras_kd.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == keras_kd.__version__
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert f"## {keras_kd.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_importing_alone_imports_no_keras():
    script = "import keras_kd, sys; sys.exit(bool({'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    assert run_python("-c", script) == (0, "", "")


def test_a_file_saved_by_the_flat_modules_loads():
    """Its classes were `keras_kd.distiller.Distiller` and `keras_kd.optimization.GlobalClipSGD`."""
    distiller = keras.saving.load_model(FILES / "distiller_of_flat_modules.keras")
    assert isinstance(distiller, keras_kd.Distiller)
    assert (distiller.soft_targets.temperature, distiller.alpha) == (3.0, 0.7)
    assert distiller.optimizer.clip_norm == 1.0
    assert distiller.optimizer.iterations == 1
    logits = distiller.predict(np.ones((1, 4), "float32"), verbose=0)
    np.testing.assert_allclose(logits, [[-0.7068261, 1.083541, -0.31326854]], rtol=1e-5)
    distiller.fit(np.ones((6, 4), "float32"), np.arange(6) % 3, epochs=1, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["import keras, keras_kd", "import keras_kd; keras_kd.Distiller; import keras"]
)
def test_files_load_whichever_is_imported_first(first):
    path = str(FILES / "distiller_of_flat_modules.keras")
    status, output, errors = run_python(
        "-c", f"{first}\nprint(type(keras.saving.load_model({path!r})).__module__)"
    )
    assert (status, output) == (0, "keras_kd.distillation.distiller\n"), errors
