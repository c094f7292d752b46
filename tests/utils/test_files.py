import json

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.models import serialization
from keras_kd.utils import files
from tests.support.networks import mlp, same, weights_of


def test_a_saved_model_comes_back(tmp_path):
    model = keras_kd.cifar_resnet(8, (8, 8, 1), width=4)
    serialization.save_model(model, tmp_path / "new" / "model.keras")
    assert same(weights_of(model), weights_of(serialization.load_model(tmp_path / "new" / "model.keras")))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.keras"]


def test_a_save_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    serialization.save_model(mlp(), path)
    before = path.read_bytes()
    model = mlp(seed=1)
    monkeypatch.setattr(model, "get_config", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        serialization.save_model(model, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.keras"]


def test_what_a_model_was_trained_with_is_not_in_its_file(tmp_path):
    model = mlp()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    serialization.save_model(model, tmp_path / "model.keras")
    assert model.compiled
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    assert same(weights_of(model), weights_of(loaded))


@pytest.mark.parametrize("keep", [0, 100, -200])
def test_a_truncated_model_is_named(tmp_path, keep):
    path = tmp_path / "model.keras"
    serialization.save_model(mlp(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"model.keras: is not a whole \.keras file"):
        serialization.load_model(path)


def test_a_lambda_is_never_run(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: 2 * x)]).save(path)
    with pytest.raises(ValueError, match="holds a Lambda, that is code"):
        serialization.load_model(path)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize("layers", [[], [keras.Input((4,))]])
def test_a_file_without_layers_is_no_network(tmp_path, layers):
    keras.Sequential(layers).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"model\.keras: holds no layers, so it is no network"):
        serialization.load_model(tmp_path / "model.keras")


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        serialization.load_model(tmp_path / "none.keras")


def test_json_is_written_whole(tmp_path):
    files.write_json({"b": 1, "a": [1.5, None]}, tmp_path / "x" / "result.json")
    written = json.loads((tmp_path / "x" / "result.json").read_text())
    assert list(written.items())[:2] == [("b", 1), ("a", [1.5, None])]
    assert files.read_json(tmp_path / "x" / "result.json") == {"b": 1, "a": [1.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        files.write_json({"a": float("nan")}, tmp_path / "x" / "result.json")
    with pytest.raises(TypeError):
        files.write_json({"a": np}, tmp_path / "x" / "result.json")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["result.json"]


def test_json_that_was_changed_is_named(tmp_path):
    path = tmp_path / "result.json"
    files.write_json({"accuracy": 0.97, "rows": [{"a": 1e-7}]}, path)
    text = path.read_text()
    for changed in (
        text.replace("0.97", "0.99"),
        text.replace("1e-07", "null"),
        text.replace("rows", "cows"),
    ):
        path.write_text(changed)
        with pytest.raises(files.DamagedFileError, match="its checksum is wrong"):
            files.read_json(path)
    path.write_text("{}")  # as by hand
    with pytest.raises(files.DamagedFileError, match="it has no 'accuracy'"):
        files.read_json(path, needed=("accuracy",))
    with (
        pytest.raises(files.DamagedFileError, match=r"result\.json is damaged .*KeyError"),
        files.interpreting(path),
    ):
        files.read_json(path)["accuracy"]


def test_arrays_come_back_and_never_a_pickle(tmp_path):
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.int64(4)}
    files.write_arrays(arrays, tmp_path / "x" / "arrays.npz")
    found = files.read_arrays(tmp_path / "x" / "arrays.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], value) for name, value in arrays.items())
    with pytest.raises(ValueError, match="allow_pickle"):
        files.write_arrays({"a": np.array([object()])}, tmp_path / "x" / "arrays.npz")
    assert files.read_arrays(tmp_path / "x" / "arrays.npz").keys() == arrays.keys()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["arrays.npz"]


def test_an_array_file_that_is_not_whole_is_named(tmp_path):
    path = tmp_path / "arrays.npz"
    files.write_arrays({"a": np.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"arrays\.npz: is not a whole \.npz file"):
        files.read_arrays(path)
    with pytest.raises(FileNotFoundError):
        files.read_arrays(tmp_path / "none.npz")


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_an_array_file_of_which_one_bit_turned_is_named(tmp_path, place):
    path = tmp_path / "a.npz"
    files.write_arrays({"a": np.arange(2000.0)}, path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"a\.npz"):
        files.read_arrays(path)
