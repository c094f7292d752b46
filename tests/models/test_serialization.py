import importlib.util
import json
import zipfile

import keras
import pytest

from keras_kd.models import serialization
from tests.support.networks import mlp


def with_layer(source, target, changes):
    """A copy of a .keras file whose second layer has another class and settings."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"][1].update(changes)
                content = json.dumps(config).encode()
            after.writestr(name, content)


def test_a_torch_layer_is_refused_in_one_line_and_nothing_of_it_runs(tmp_path):
    serialization.save_model(mlp(), tmp_path / "mlp.keras")
    pickled = {"class_name": "__bytes__", "config": {"value": "gASVBAA="}}
    layer = {"class_name": "TorchModuleWrapper", "config": {"name": "flatten", "module": pickled}}
    with_layer(tmp_path / "mlp.keras", tmp_path / "torch.keras", layer)
    message = r"torch.keras: (has layers of 'torch', which is not installed|is not a whole|holds)"
    with pytest.raises(ValueError, match=message) as caught:
        serialization.load_model(tmp_path / "torch.keras")
    assert "\n" not in str(caught.value)
    if importlib.util.find_spec("torch") is None:
        assert "rebuild the network from Keras's own layers" in str(caught.value)


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    serialization.save_model(mlp(), tmp_path / "mlp.keras")

    def load_model(*args, **kwargs):
        raise TypeError("could not be deserialized: No module named 'somewhere.layers'")

    monkeypatch.setattr(keras.saving, "load_model", load_model)
    with pytest.raises(ValueError, match="has layers of 'somewhere.layers', which is not installed"):
        serialization.load_model(tmp_path / "mlp.keras")
