import contextlib
import json

import keras
import numpy as np
import pytest

import keras_kd
from keras_kd.models import weights
from keras_kd.training import checkpointing
from tests.support.networks import mlp, same, weights_of


def state(epochs, **changes):
    values = {
        "epochs": epochs,
        "finished": False,
        "history": {"loss": [0.1 + 0.2] * epochs},
        "seconds": 1.5,
        "variables": {"0000 a/kernel": np.float32([[epochs, 2]]), "0001 a/bias": np.int64(3)},
        "callbacks": [{"wait": 1, "best": 0.25}, {}],
    }
    return checkpointing.State(**values | changes)


def equal(one, other):
    return (
        all(
            getattr(one, name) == getattr(other, name)
            for name in ("epochs", "finished", "history", "seconds")
        )
        and one.variables.keys() == other.variables.keys()
        and all(
            np.array_equal(value, other.variables[name]) and value.dtype == other.variables[name].dtype
            for name, value in one.variables.items()
        )
    )


@pytest.fixture
def saved(tmp_path):
    """A `Checkpoints` that has saved epochs 1, 2 and 3."""
    found = checkpointing.Checkpoints(tmp_path / "net", {"seed": 0})
    for epochs in (1, 2, 3):
        found.save(state(epochs))
    return found


def test_nothing_saved_is_nothing_to_go_on_from(tmp_path):
    assert checkpointing.Checkpoints(tmp_path / "net", {}).load() is None


def test_the_newest_state_comes_back_bit_for_bit(saved):
    found = saved.load()
    assert equal(found, state(3))
    assert found.callbacks == state(3).callbacks


def test_arrays_of_callbacks_come_back(tmp_path):
    held = [
        {"best_weights": [np.float32([1, 2]), np.float64([[3]])], "values": [1, 2.5, None], "best": np.inf}
    ]
    kept = checkpointing.Checkpoints(tmp_path / "net", {})
    kept.save(state(1, callbacks=held))
    (found,) = kept.load().callbacks
    assert same(found["best_weights"], held[0]["best_weights"])
    assert (found["values"], found["best"]) == ([1, 2.5, None], np.inf)


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_a_truncated_file_gives_way_to_the_older_one(saved, tmp_path, keep):
    newest = tmp_path / "net.1.npz"
    newest.write_bytes(newest.read_bytes()[:keep])
    with pytest.warns(UserWarning, match=r"net\.1\.npz is damaged .*: going on from epoch 2 instead"):
        assert equal(saved.load(), state(2))
    saved.save(state(3))
    assert equal(saved.load(), state(3))


def test_no_damaged_byte_is_used_silently(saved, tmp_path):
    newest = tmp_path / "net.1.npz"
    whole = newest.read_bytes()
    (tmp_path / "net.0.npz").unlink()
    harmless = 0
    for place in range(len(whole)):
        newest.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with contextlib.suppress(ValueError):
            assert equal(saved.load(), state(3)), place  # dates and the like inside the archive
            harmless += 1
    assert harmless < len(whole) / 2


def test_two_damaged_files_are_an_error(saved, tmp_path):
    for turn in range(2):
        (tmp_path / f"net.{turn}.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"net\.0\.npz is damaged.*net\.1\.npz is damaged.*start anew"):
        saved.load()


def test_a_state_of_another_training_is_refused_by_name(saved, tmp_path):
    other = checkpointing.Checkpoints(tmp_path / "net", {"seed": 1, "alpha": 0.5})
    with pytest.raises(
        ValueError, match=r"is of another training: alpha was None and is 0.5, seed was 0 and is 1"
    ):
        other.load()


def test_a_state_of_an_earlier_version_does_not_tell_what_that_did_not_write(saved, tmp_path):
    later = checkpointing.Checkpoints(tmp_path / "net", {"seed": 0, "shortcut_removal": "fade"})
    assert equal(later.load(), state(3))
    later.save(state(4))
    other = checkpointing.Checkpoints(tmp_path / "net", {"seed": 0, "shortcut_removal": "none"})
    with pytest.raises(ValueError, match="shortcut_removal was 'fade' and is 'none'"):
        other.load()


def test_a_pickle_is_never_loaded(tmp_path):
    np.savez(tmp_path / "net.1.npz", header=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="is damaged"):
        checkpointing.Checkpoints(tmp_path / "net", {}).load()


def test_a_save_that_fails_leaves_both_files(saved, tmp_path):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(TypeError):
        saved.save(state(4, callbacks=[{"bad": object()}]))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_variables_come_back_and_others_are_refused():
    model, twin = mlp(seed=0), mlp(seed=1)
    values = weights.read_variables(model.variables)
    checkpointing.write_variables(twin.variables, values)
    assert same(weights_of(model), weights_of(twin))
    wider = mlp(units=9)
    before = weights_of(wider)
    with pytest.raises(ValueError, match="of another network.*the first to differ is 0"):
        checkpointing.write_variables(wider.variables, values)
    assert same(before, weights_of(wider))


def test_the_digest_sees_every_weight():
    model = mlp()
    before = weights.digest(model)
    assert before == weights.digest(mlp())
    model.layers[-1].bias.assign(np.float32([0, 0, 0, 1e-7]))
    assert weights.digest(model) != before


def test_the_structure_sees_shortcuts_and_not_names():
    twins = [keras_kd.cifar_resnet(8, (8, 8, 3), shortcuts=shortcuts) for shortcuts in (True, True, False)]
    one, same_one, plain = map(weights.structure, twins)
    assert one == same_one != plain
    assert weights.structure(mlp(name="a")) == weights.structure(mlp(name="b"))
    assert weights.structure(mlp(units=8)) != weights.structure(mlp(units=9))


def test_the_structure_sees_how_layers_are_connected():
    def network(swapped=False, operation=keras.ops.add):
        x = keras.Input((4,))
        first, second = keras.layers.Dense(4), keras.layers.Dense(4)
        a = first(x)
        b = second(a)
        y = operation(x, b)
        return keras.Model(x, keras.layers.Dense(2)(a if swapped else y))

    shapes = {weights.structure(network()), weights.structure(network())}
    assert len(shapes) == 1
    assert weights.structure(network(swapped=True)) not in shapes
    assert weights.structure(network(operation=keras.ops.multiply)) not in shapes


def test_the_structure_sees_what_a_layer_reads():
    def network(skip):
        x = keras.Input((4,))
        first = keras.layers.Dense(4)(x)
        second = keras.layers.Dense(4)(first)
        third = keras.layers.Dense(4)(second)
        return keras.Model(x, keras.layers.Add()([third, first if skip else second]))

    assert weights.structure(network(True)) != weights.structure(network(False))
    assert weights.structure(network(True)) == weights.structure(network(True))


class Counting(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.count = np.int64(2)
        self.list = [1]
        self.kept = "same"
        self.function = print
        self._hidden = 1


def test_only_plain_public_attributes_that_changed_are_state():
    callback = Counting()
    before = checkpointing.plain_attributes(callback)
    assert before == {"count": 2, "list": [1], "kept": "same"} | {
        name: value for name, value in before.items() if name not in ("count", "list", "kept")
    }
    assert "function" not in before
    assert "_hidden" not in before
    callback.count += 1
    callback.list.append(np.float32([1, 2]))
    changed = checkpointing.changed(before, checkpointing.plain_attributes(callback))
    assert changed.keys() == {"count", "list"}
    assert changed["count"] == 3
    assert json.dumps(changed["count"]) == "3"
