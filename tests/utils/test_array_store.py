import numpy as np
import pytest

from keras_kd.utils import array_store, files
from keras_kd.utils.identity import IdentityMismatchError


def test_a_piece_is_measured_once_even_by_another_process(tmp_path):
    path, calls = tmp_path / "found.npz", []

    def measure():
        calls.append(1)
        return {"names": ["a", "plain + KD"], "values": np.array([0.5, np.nan])}

    for _ in range(2):
        store = array_store.ArrayStore(path, {"what": "x"})
        for _ in range(2):
            found = store.once("ranks/plain + KD", measure)
            assert list(found["names"]) == ["a", "plain + KD"]
            np.testing.assert_array_equal(found["values"], [0.5, np.nan])
    assert len(calls) == 1
    assert files.read_arrays(path).keys() == {
        "identity",
        "ranks/plain + KD/names",
        "ranks/plain + KD/values",
    }


def test_what_fails_leaves_the_pieces_before_it(tmp_path):
    path = tmp_path / "found.npz"
    store = array_store.ArrayStore(path, {})
    store.once("first", lambda: {"values": [1]})
    with pytest.raises(ZeroDivisionError):
        store.once("second", lambda: {"values": [1 / 0]})
    again = array_store.ArrayStore(path, {})
    assert "first" in again
    assert "second" not in again


def test_a_piece_under_way_goes_on_after_its_last_kept_step(tmp_path, monkeypatch):
    monkeypatch.setattr(array_store, "SAVE_SECONDS", 0.0)
    path = tmp_path / "found.npz"
    store, sums = array_store.ArrayStore(path, {}), {"sum": np.zeros(2)}
    assert store.resume("long", sums) == 0
    for step in (1, 2):
        sums["sum"] += step
        store.checkpoint("long", sums, step)
    store, sums = array_store.ArrayStore(path, {}), {"sum": np.zeros(2)}
    assert store.resume("long", sums) == 2
    np.testing.assert_array_equal(sums["sum"], [3, 3])
    store.commit("long", {"mean": {"values": sums["sum"] / 2}})
    assert files.read_arrays(path).keys() == {"identity", "mean/values"}


def test_steps_are_not_written_more_often_than_every_few_seconds(tmp_path):
    store = array_store.ArrayStore(tmp_path / "found.npz", {})
    for step in range(9):
        store.checkpoint("long", {"sum": np.zeros(2)}, step)
    assert not list(tmp_path.iterdir())
    store.checkpoint("long", {"sum": np.zeros(2)}, 9, now=True)
    assert list(tmp_path.iterdir())


def test_the_keys_of_a_piece_without_a_name_stand_alone(tmp_path):
    path = tmp_path / "found.npz"
    array_store.ArrayStore(path, {}).commit("long", {"": {"values": [1]}})
    assert files.read_arrays(path).keys() == {"identity", "values"}
    np.testing.assert_array_equal(array_store.ArrayStore(path, {})[""]["values"], [1])


def test_pieces_of_something_else_are_refused_and_stay(tmp_path):
    path = tmp_path / "found.npz"
    array_store.ArrayStore(path, {"network": "a", "seed": 1}).once("first", lambda: {"values": [1]})
    before = path.read_bytes()
    with pytest.raises(IdentityMismatchError, match="found.npz was made of something else") as caught:
        array_store.ArrayStore(path, {"network": "b", "seed": 1})
    assert (caught.value.path, caught.value.changes) == (path, "network was 'a' and is 'b'")
    np.savez(tmp_path / "other.npz", values=[1])
    with pytest.raises(ValueError, match="other.npz does not say what it is of"):
        array_store.ArrayStore(tmp_path / "other.npz", {})
    path.write_bytes(before[:100])
    with pytest.raises(ValueError, match=r"found.npz: is not a whole .npz file"):
        array_store.ArrayStore(path, {"network": "a", "seed": 1})


def test_without_a_file_pieces_are_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = array_store.ArrayStore(None, {})
    assert store.once("first", lambda: {"values": [1]}) is store["first"]
    assert not list(tmp_path.iterdir())
