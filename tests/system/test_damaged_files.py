"""Files damaged at random: each is refused in one line, or what comes out of it is what was written."""

import collections
import json

import keras
import numpy as np
import pytest
import yaml

from keras_kd.cli import main
from keras_kd.data import datasets
from keras_kd.models import serialization
from keras_kd.models.weights import fingerprint
from keras_kd.study import config, session
from keras_kd.utils import files, run_dir
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp

pytestmark = pytest.mark.slow


def damaged(content, rng):
    """Bytes that were cut, flipped, zeroed, doubled or moved."""
    content, size = bytearray(content), len(content)
    at, length = int(rng.integers(size)), int(rng.integers(1, max(2, size // 8)))
    kind = rng.integers(6)
    if kind == 0:
        return bytes(content[:at])
    if kind == 1:
        for place in rng.integers(size, size=rng.integers(1, 4)):
            content[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        content[at : at + length] = bytes(len(content[at : at + length]))
    elif kind == 3:
        content[at:at] = content[at : at + length]
    elif kind == 4:
        del content[at : at + length]
    else:
        content[at : at + length] = rng.bytes(len(content[at : at + length]))
    return bytes(content)


def check_line(error, *case):
    assert len(str(error).splitlines()) == 1, (case, error)


def tried(path, read, same, rng, count):
    """How often damage was refused and how often it did not matter; anything else fails."""
    whole, seen = path.read_bytes(), collections.Counter()
    for number in range(count):
        path.write_bytes(content := damaged(whole, rng))
        try:
            found = read(path)
        except ValueError as error:  # of the library; any other is a traceback
            check_line(error, number)
            seen["named"] += path.name in str(error)
            seen["refused"] += 1
        else:
            assert content == whole or same(found), number
            seen["harmless"] += 1
    path.write_bytes(whole)
    assert seen["named"] == seen["refused"]
    return seen


@pytest.mark.parametrize(("save", "count"), [(np.savez, 600), (np.savez_compressed, 400)])
def test_datasets(tmp_path, rng, save, count):
    path = tmp_path / "tiny.npz"
    save(path, **tiny_arrays(rng))
    known = datasets.load(str(path)).examples_fingerprint
    seen = tried(
        path,
        lambda path: datasets.load(str(path)),
        lambda found: found.examples_fingerprint == known,
        rng,
        count,
    )
    assert seen["refused"] > {600: 400, 400: 300}[count]


@pytest.mark.filterwarnings("ignore")
def test_networks(tmp_path, rng):
    path = tmp_path / "model.keras"
    serialization.save_model(mlp(), path)
    known = fingerprint(serialization.load_model(path))
    seen = tried(path, serialization.load_model, lambda found: fingerprint(found) == known, rng, 300)
    keras.backend.clear_session()
    assert seen["refused"] > 200


def test_results(tmp_path, rng):
    path = tmp_path / "result.json"
    values = {"accuracy": 0.97, "rows": [{"seed": 1, "loss": 1e-7, "name": "ä"}], "history": [0.1] * 20}
    files.write_json(values, path)
    seen = tried(path, files.read_json, lambda found: found == values, rng, 3000)
    assert seen["refused"] > 2000


def test_arrays(tmp_path, rng):
    path = tmp_path / "arrays.npz"
    arrays = {"a/b": rng.normal(size=(20, 3)), "c": np.arange(50)}
    files.write_arrays(arrays, path)

    def same(found):
        return found.keys() == arrays.keys() and all(
            np.array_equal(found[key], arrays[key]) for key in arrays
        )

    assert tried(path, files.read_arrays, same, rng, 1500)["refused"] > 1000


def test_study_files(tmp_path, rng):
    """A file that says something else is another study: only tracebacks and many lines are faults here."""
    path = tmp_path / "smoke.yaml"
    path.write_bytes(session.study_file("smoke").read_bytes())
    seen = tried(path, config.read_config, lambda found: isinstance(found, config.StudyConfig), rng, 400)
    assert seen["refused"] > 50


WRONG = [None, True, -1, 0, 10**30, 1.5, "", "1", "x", [], [[]], {}, {"a": 1}, [None]]


def test_study_files_with_values_of_other_types(tmp_path, rng):
    whole = yaml.safe_load(session.study_file("smoke").read_text(encoding="utf-8"))
    path = tmp_path / "smoke.yaml"
    for name in whole:
        for value in WRONG:
            path.write_text(yaml.safe_dump(whole | {name: value}), encoding="utf-8")
            try:
                config.read_config(path)
            except ValueError as error:
                check_line(error, name, value)
    path.write_text(yaml.safe_dump(whole | {"recipe": {"epochs": "1"}}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"smoke\.yaml:\d+: .*epochs"):
        config.read_config(path)


@pytest.mark.parametrize(
    "content", [b"", b'{"a"', b"{}", b"\xff\x00\x01", b"[]", b'{"networks": 3, "measured": []}']
)
@pytest.mark.parametrize("command", ["train", "distill", "search"])
def test_the_result_of_a_finished_run(tmp_path, monkeypatch, capsys, command, content):
    from keras_kd.cli import runs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "complete", lambda *_: pytest.fail("it is finished"))
    monkeypatch.setattr(run_dir.RunDir, "check_flags", lambda run: None)  # it was begun with these
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_bytes(content)
    (tmp_path / "run" / "flags.cfg").write_text("")
    assert main.call(command, ["--out=run", "--dataset=missing.npz"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: run/result.json is damaged (")
    assert "delete it" in line


HOSTILE = [
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "-1",
    "0",
    "1e300",
    "9" * 25,
    "1,1",
    ",",
    "a,a",
    "\n",
    "\x00",
    "🙂",
    "x" * 5000,
]


@pytest.mark.parametrize("command", main.COMMANDS)
def test_hostile_flags(tmp_path, monkeypatch, capsys, command):
    """Up to where a command begins its work: each value of each flag is taken, or refused in one line."""
    import importlib

    from absl import flags as absl_flags

    module = importlib.import_module(f"keras_kd.cli.{command}")
    values = absl_flags.FlagValues()
    module.define_flags(values)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "main", lambda values: None)
    for name in values:
        for value in HOSTILE:
            status = main.call(command, [f"--{name}={value}"])
            told = capsys.readouterr().err.splitlines()
            assert status in (0, 1)
            assert [line.startswith("error: ") for line in told] == [True] * status, (name, value, told)
    assert json.dumps(sorted(entry.name for entry in tmp_path.iterdir())) == "[]"
