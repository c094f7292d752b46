import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from keras_kd.utils import run_dir
from tests.support.processes import ROOT

FLAGS = {"epochs": "3", "baseline": "False"}


def test_a_run_is_begun_once_and_finished_once(tmp_path):
    run = run_dir.RunDir(tmp_path / "new" / "run", FLAGS)
    assert not run.begun
    with run.claimed():
        assert run.begun
        assert run.result() is None
        run.finish({"b": 1, "a": 2})
    again = run_dir.RunDir(tmp_path / "new" / "run", FLAGS)
    again.check_flags()
    assert list(again.result().items()) == [("b", 1), ("a", 2)]
    assert (run.path / "flags.cfg").read_text() == "--baseline=False\n--epochs=3\n"


def test_other_flags_are_named(tmp_path):
    with run_dir.RunDir(tmp_path / "run", FLAGS).claimed():
        pass
    other = run_dir.RunDir(tmp_path / "run", {"epochs": "4", "seed": "1"})
    message = (
        r"begun with other flags: --baseline was False and is not given; --epochs was 3 and is 4; "
        r"--seed was not given and is 1: give those to go on"
    )
    with pytest.raises(ValueError, match=message):
        other.check_flags()
    with pytest.raises(ValueError, match=message), other.claimed():
        pass
    with other.claimed(overwrite=True):
        pass
    other.check_flags()


def test_overwriting_leaves_nothing(tmp_path):
    run = run_dir.RunDir(tmp_path / "run", FLAGS)
    with run.claimed():
        (run.path / "checkpoints").mkdir()
        (run.path / "checkpoints" / "net.0.npz").touch()
        run.finish({})
    with run.claimed():
        assert run.result() == {}
    with run.claimed(overwrite=True):
        assert {path.name for path in run.path.iterdir()} == {"flags.cfg", ".lock"}


@pytest.mark.parametrize("deletions", range(5))
def test_overwriting_may_be_killed_at_any_file(tmp_path, monkeypatch, deletions):
    """What is left is a run that can be overwritten again, and never one that looks finished."""
    run = run_dir.RunDir(tmp_path / "run", FLAGS)
    with run.claimed():
        for name in ("a.keras", "z.keras", "log.txt"):
            (run.path / name).touch()
        run.finish({})
    left = [deletions]

    def unlink(path, delete=pathlib.Path.unlink):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        delete(path)

    monkeypatch.setattr(pathlib.Path, "unlink", unlink)
    with contextlib.suppress(KeyboardInterrupt), run.claimed(overwrite=True):
        pass
    monkeypatch.undo()
    again = run_dir.RunDir(tmp_path / "run", FLAGS)
    assert again.begun
    assert (again.result() is None) == (deletions > 0)
    with again.claimed(overwrite=True):
        assert again.result() is None


@pytest.mark.parametrize("name", ["a folder", "a file"])
def test_what_is_no_run_is_left_alone(tmp_path, name):
    path = tmp_path / "there"
    if name == "a folder":
        path.mkdir()
        path = path / "file"
    path.write_text("kept")
    (tmp_path / "hidden" / ".git").mkdir(parents=True)
    with pytest.raises(ValueError, match="exists and is no run"):
        run_dir.RunDir(tmp_path / "hidden", FLAGS)
    with pytest.raises(ValueError, match="exists and is no run"):
        run_dir.RunDir(tmp_path / "there", FLAGS)
    assert path.read_text() == "kept"


def test_a_run_killed_before_its_first_file_is_a_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").touch()
    (tmp_path / "run" / ".part-flags.cfg").write_text("--ep")
    with run_dir.RunDir(tmp_path / "run", FLAGS).claimed():
        assert (tmp_path / "run" / "flags.cfg").read_text().endswith("--epochs=3\n")


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    script = f"""
import time
from keras_kd.utils import run_dir
with run_dir.RunDir({str(tmp_path / "run")!r}, {FLAGS!r}).claimed():
    print("mine", flush=True)
    time.sleep(600)
"""
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert owner.stdout.readline() == "mine\n"
        run = run_dir.RunDir(tmp_path / "run", FLAGS)
        for overwrite in (False, True):
            with (
                pytest.raises(ValueError, match=rf"is in use by process {owner.pid} on "),
                run.claimed(overwrite),
            ):
                pass
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        owner.stdout.close()
    with run.claimed():
        run.finish({"mine": "now"})
    assert json.loads((run.path / "result.json").read_text()) == {"mine": "now"}


def test_a_patient_process_waits_for_the_other(tmp_path):
    first, second = (run_dir.RunDir(tmp_path / "run", FLAGS) for _ in range(2))
    with first.claimed():
        leaving = threading.Timer(0.7, first.finish, [{"done": 1}])
        leaving.start()
        with pytest.raises(ValueError, match="is in use by process"), second.claimed(patience=0.2):
            pass
        leaving.join()
    held = contextlib.ExitStack()
    held.enter_context(first.claimed())
    threading.Timer(0.7, held.close).start()
    with second.claimed(patience=30.0):
        assert second.result() == {"done": 1}


def test_a_flag_that_did_not_exist_was_what_another_one_said(tmp_path):
    with run_dir.RunDir(tmp_path / "run", {"seed": "3"}).claimed():
        pass
    implied = {"split_seed": "seed"}
    run_dir.RunDir(tmp_path / "run", {"seed": "3", "split_seed": "3"}, implied=implied).check_flags()
    now = run_dir.RunDir(tmp_path / "run", {"seed": "3", "split_seed": "0"}, implied=implied)
    with pytest.raises(ValueError, match="--split_seed was 3 and is 0: give those to go on"):
        now.check_flags()
