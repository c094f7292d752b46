"""Flags of commands: one name for one concept, one line for what cannot be read, files of flags."""

import importlib
import shlex

import numpy as np
import pytest
from absl import flags as absl_flags

from keras_kd.cli import flags, main
from tests.support.arrays import tiny_arrays
from tests.support.commands import call

COMMANDS = [name for name in main.COMMANDS if importlib.util.find_spec(f"keras_kd.cli.{name}")]


def values_of(name, *arguments):
    values = absl_flags.FlagValues()
    importlib.import_module(f"keras_kd.cli.{name}").define_flags(values)
    values([name, *arguments])
    return values


def test_commands_share_no_flags_object():
    first, second = values_of("train", "--epochs=3"), values_of("distill")
    assert (first.epochs, second.epochs) == (3, 20)
    assert "epochs" not in absl_flags.FLAGS


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_uses_a_name_that_was_given_up(name):
    assert not set(flags.RENAMED) & set(values_of(name))


@pytest.mark.parametrize("old", flags.RENAMED)
def test_an_old_flag_is_answered_with_its_new_name(old, tmp_path):
    status, _, errors = call("distill", f"--{old}=3", cwd=tmp_path)
    assert (status, errors) == (1, f"error: --{old} is called --{flags.RENAMED[old]} now\n")


def test_a_flagfile_is_read(tmp_path):
    (tmp_path / "a.cfg").write_text("--epochs=3\n--nodeterministic\n--alpha=0.5\n")
    values = values_of("distill", f"--flagfile={tmp_path / 'a.cfg'}", "--alpha=0.25")
    assert (values.epochs, values.alpha, values.temperature) == (3, 0.25, 4.0)
    assert flags.given(values, "epochs") == 3
    assert flags.given(values, "temperature") is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("--flagfile=none.cfg", "none.cfg"),
        ("--seeed=1", "unknown flag --seeed: did you mean --seed?"),
        ("--nodetermnistic", "did you mean --deterministic?"),
        ("--xyzzy", "unknown flag --xyzzy: --help lists all flags"),
        ("--schedule=linear", "--schedule=linear"),
        ("--epochs", "epochs"),
    ],
)
def test_what_cannot_be_read_ends_in_one_line(bad, message, tmp_path):
    status, _, errors = call("train", bad, cwd=tmp_path)
    assert status == 1
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1
    assert message in errors


def test_where_a_run_is_and_how_it_starts_is_no_part_of_it():
    values = values_of("distill", "--out=a", "--overwrite", "--saved_models=b")
    assert not {"out", "overwrite", "saved_models", "debug", "flagfile"} & set(flags.as_text(values))
    assert set(flags.as_text(values)) >= {"dataset", "epochs", "seed", "alpha", "student_depth"}


def test_a_distillation_as_train_tells_it_has_the_split_of_its_teacher(npz, tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    from keras_kd.cli import train_runs

    result = {
        "network": "resnet8",
        "measured": {"accuracy": 0.5, "loss": 1.0, "parameters": 7, "seconds": 1.0},
        "dataset": {"examples": {"test": 24}},
        "settings": {"epochs": 30},
    }
    monkeypatch.setattr(train_runs, "train", lambda *_: result)
    data = ("--split_seed=3", "--validation_fraction=0.3", "--data_dir=there", "--skip_bad_images")
    status, output, errors = call(
        "train", f"--dataset={npz}", "--student_depth=8", "--cache=none", *data, cwd=tmp_path
    )
    assert (status, errors) == (0, "")
    command, *told = shlex.split(output.splitlines()[-1])[2:]
    values = values_of(command, *told)
    asked = values_of("train", f"--dataset={npz}", "--cache=none", *data)
    for name in ("dataset", "data_dir", "validation_fraction", "split_seed", "cache", "skip_bad_images"):
        assert values[name].value == asked[name].value
    assert "cache_dir" not in output


def test_every_seed_has_the_same_validation_images(npz):
    pytest.importorskip("tensorflow")
    from keras_kd.cli import runs

    def validation(*arguments):
        values = values_of("distill", f"--dataset={npz}", *arguments)
        return runs.load_dataset(values, flags.settings_of(values))[0].validation.images

    first = validation("--seed=0")
    np.testing.assert_array_equal(first, validation("--seed=1"))
    assert not np.array_equal(first, validation("--seed=1", "--split_seed=1"))


def test_a_batch_size_that_nobody_gave_fits_a_small_dataset(tmp_path, capsys):
    pytest.importorskip("tensorflow")
    from keras_kd.cli import runs

    np.savez(tmp_path / "few.npz", **tiny_arrays(np.random.default_rng(0), train=48))

    def loaded(*arguments):
        values = values_of(
            "train", f"--dataset={tmp_path / 'few.npz'}", f"--out={tmp_path / 'run'}", *arguments
        )
        return values, runs.load_dataset(values, flags.settings_of(values))

    values, (dataset, settings) = loaded()
    assert settings.batch_size == len(dataset.train.labels) == 43
    assert (
        "batch_size is 43: there are 43 training examples, fewer than the default of 64"
        in capsys.readouterr().out
    )
    assert loaded("--batch_size=32")[1][1].batch_size == 32
    for given in ("--batch_size=64", "--batch_size=44"):
        with pytest.raises(ValueError, match="batch_size must be a whole number from 1 to .* 43"):
            loaded(given)
    with runs.open_run(values, "train").claimed():
        pass
    assert "--batch_size" not in (tmp_path / "run" / "flags.cfg").read_text()
    runs.open_run(loaded()[0], "train")
    with pytest.raises(ValueError, match="--batch_size was 64 and is 32"):
        runs.open_run(loaded("--batch_size=32")[0], "train")
