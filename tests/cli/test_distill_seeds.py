"""`distill --seeds`: what is trained for each seed, what is told of all, and what is refused."""

import concurrent.futures
import json
import pathlib
import shutil

import numpy as np
import pytest
from absl import flags as absl_flags

from keras_kd.cli import distill, distill_seeds, runs
from keras_kd.export import sources
from keras_kd.utils import files
from tests.support.arrays import tiny_arrays
from tests.support.commands import call
from tests.support.runs import DISTILL, EPOCHS, SEED, finished_run

SEEDED = [each for each in DISTILL if not each.startswith(("--seed=", "--out="))]


def values_of(*arguments):
    values = absl_flags.FlagValues()
    distill.define_flags(values)
    values(["distill", *arguments])
    return values


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], None),
        (["--seeds=3"], [0, 1, 2]),
        (["--seeds=1"], [0]),
        (["--seeds=2", "--seed=5"], [5, 6]),
        (["--seeds=7,0"], [7, 0]),
        (["--seeds=5..7", "--seed=2"], [5, 6, 7]),
    ],
)
def test_seeds_are_a_count_or_a_list(arguments, wanted):
    assert distill.seeds_of(values_of(*arguments)) == wanted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds=0"], "--seeds must be a whole number from 1"),
        (["--seeds=many"], "--seeds must be how many, as 5, or which, as 5..9 or 0,7"),
        (["--seeds=0,-1"], "--seeds must be how many"),
        (["--seeds=0 4 7"], "--seeds must be how many.* Received: --seeds='0 4 7'"),
        (["--seeds=1,01"], "--seeds"),
        (["--seeds=2", "--strategy=multiworker"], "--seeds trains on one host"),
    ],
)
def test_what_are_no_seeds_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        distill.check(values_of(*arguments))


@pytest.mark.slow
def test_a_seed_is_trained_as_a_run_of_its_own(tmp_path_factory, monkeypatch):
    """The second seed is a copy of the first, as its training takes time, and has a note.

    The first is as earlier versions left it, which kept none.
    """
    cwd, _ = finished_run(tmp_path_factory)
    folder, train_seed = cwd / "runs" / "seeds", distill_seeds.train_seed

    def train_first(arguments, is_first, **options):
        if is_first:
            train_seed(arguments, is_first, **options)
        else:
            shutil.copytree(folder / f"seed-{SEED}", folder / "seed-7", dirs_exist_ok=True)
        path = folder / (f"seed-{SEED}" if is_first else "seed-7") / "result.json"
        result = files.read_json(path)
        result.pop("notes", None)
        notes = {} if is_first else {"notes": {"student_distilled": ["at_loss was 0"]}}
        files.write_json(result | notes, path)

    monkeypatch.setattr(distill_seeds, "train_seed", train_first)
    arguments = [*SEEDED, f"--seeds={SEED},7", "--out=runs/seeds"]
    status, output, errors = call("distill", *arguments, cwd=cwd)
    assert status == 0, errors
    one, alone = folder / f"seed-{SEED}", cwd / "runs" / "first"
    assert measured(one) == measured(alone)
    assert (one / "flags.cfg").read_text() == (alone / "flags.cfg").read_text()
    assert (one / "saved_model").is_dir()

    result = json.loads((folder / "result.json").read_text())
    assert result["seeds"] == [SEED, 7]
    accuracy = measured(alone)["networks"]["student_distilled"]["accuracy"]
    assert f"to {accuracy:.1%}" in output[output.index("\nKD ") : output.index("means over")]
    assert "over 2 seeds)" in output
    assert output.index("\nKD ") < output.index("means over 2 seeds")
    assert "\nnote: seed 7, student distilled: at_loss was 0\n" in output

    status, again, errors = call("distill", *arguments, cwd=cwd)
    assert status == 0, errors
    assert again[again.index("\nKD") :] == output[output.index("\nKD") :]
    status, _, errors = call("landscape", "--run=runs/seeds", cwd=cwd)
    assert status == 1
    assert f"give one of its seeds, such as runs/seeds/seed-{SEED}" in errors
    assert sources.file_of_run(folder) == one / "student.keras"


def test_overwriting_seeds_starts_anew_with_other_flags(tmp_path, monkeypatch, rng):
    def killed(arguments, is_first, **options):
        values = values_of(*arguments)
        run = runs.open_run(values, "distill", changeable=distill.CHANGEABLE)
        with run.claimed(values.overwrite):
            (run.path / "half").write_text(str(values.epochs))
            raise OSError("killed")

    monkeypatch.setattr(distill_seeds, "train_seed", killed)
    np.savez(tmp_path / "tiny.npz", **tiny_arrays(rng))
    folder = tmp_path / "runs" / "seeds"

    def distill_again(*flags):
        return call("distill", *SEEDED, "--seeds=2", "--out=runs/seeds", *flags, cwd=tmp_path)[2]

    assert "killed" in distill_again()
    assert "was begun with other flags" in distill_again("--epochs=9")
    assert "killed" in distill_again("--epochs=9", "--overwrite")
    assert (folder / "overwritten-1" / "seed-0" / "half").read_text() == str(EPOCHS)
    assert (folder / "seed-0" / "half").read_text() == "9"
    assert "killed" in distill_again("--epochs=9")
    assert {path.name for path in folder.glob("**/overwritten-*")} == {"overwritten-1"}


def measured(run):
    """What a run measured, without how long it took, and where its data lay: runs are copied elsewhere."""
    result = json.loads((run / "result.json").read_text())
    assert pathlib.Path(result["dataset"].pop("absolute_name")).name == "tiny.npz"
    for row in result["networks"].values():
        del row["seconds"]
    return {name: value for name, value in result.items() if name not in ("checksum", "export", "notes")}


class Inline:
    """An executor that calls what is submitted at once."""

    def __init__(self, slots, threads):
        assert (slots, threads) == (2, None)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, function, *arguments):
        future = concurrent.futures.Future()
        try:
            future.set_result(function(*arguments))
        except (ValueError, concurrent.futures.BrokenExecutor) as error:
            future.set_exception(error)
        return future


class Line:
    def look(self):
        pass


def test_seeds_beside_each_other_are_all_trained_and_the_first_is_exported(monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(distill_seeds.processes, "ProcessExecutor", Inline)
    monkeypatch.setattr(distill_seeds, "train_seed", lambda *given: trained.append(given))
    each = {seed: [f"--seed={seed}"] for seed in (4, 5, 6)}
    distill_seeds._train_beside(each, 2, Line())
    assert trained == [(["--seed=4"], True), (["--seed=5"], False), (["--seed=6"], False)]
    assert capsys.readouterr().out.count("is done") == 3


def test_a_seed_whose_process_ends_is_left_to_this_one(monkeypatch, capsys):
    def killed(arguments, is_first):
        if arguments == ["--seed=5"]:
            raise concurrent.futures.BrokenExecutor("a process was terminated abruptly")

    monkeypatch.setattr(distill_seeds.processes, "ProcessExecutor", Inline)
    monkeypatch.setattr(distill_seeds, "train_seed", killed)
    each = {seed: [f"--seed={seed}"] for seed in (4, 5, 6)}
    assert distill_seeds._train_beside(each, 2, Line()) == [5]
    assert "seed 5: its own process ended" in capsys.readouterr().out


def test_what_goes_wrong_in_another_process_is_told(monkeypatch):
    def fail(*given):
        raise ValueError("the disk is full")

    monkeypatch.setattr(distill_seeds.processes, "ProcessExecutor", Inline)
    monkeypatch.setattr(distill_seeds, "train_seed", fail)
    with pytest.raises(ValueError, match="the disk is full"):
        distill_seeds._train_beside({0: [], 1: []}, 2, Line())
