import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from keras_kd.utils import files, run_dir
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


def train_run(tmp_path, **options):
    return run_dir.RunDir(tmp_path / "run", FLAGS, command="train", **options)


def names(path):
    return {entry.name for entry in path.iterdir()} - {".lock", ".lock.owner"}


def test_what_is_overwritten_waits_until_the_new_run_is_whole(tmp_path):
    run = train_run(tmp_path)
    with run.claimed():
        (run.path / "checkpoints").mkdir()
        (run.path / "checkpoints" / "net.0.npz").touch()
        (run.path / "events.out.tfevents.1.host").touch()
        run.finish({"first": 1})
    with run.claimed():
        assert run.result() == {"first": 1}
    aside = run.path / "overwritten-1"
    with contextlib.suppress(KeyboardInterrupt), run.claimed(overwrite=True):
        assert names(run.path) == {"flags.cfg", "overwritten-1"}
        raise KeyboardInterrupt
    assert names(aside) == {"checkpoints", "events.out.tfevents.1.host", "flags.cfg", "result.json"}
    with run.claimed():
        (run.path / "checkpoints").mkdir()
        (run.path / "events.out.tfevents.2.host").touch()
        run.finish({"second": 2})
    assert names(run.path) == {"flags.cfg", "checkpoints", "events.out.tfevents.2.host", "result.json"}


def test_what_the_new_run_does_not_make_is_kept(tmp_path, capsys):
    run = train_run(tmp_path)
    with run.claimed():
        (run.path / "notes.txt").write_text("mine")
        (run.path / "landscape").mkdir()
        run.finish({})
    for number in (1, 2):
        with run.claimed(overwrite=True):
            (run.path / "notes.txt" if number == 2 else run.path / "other").write_text("new")
            run.finish({})
    assert names(run.path / "overwritten-1") == {"landscape"}
    assert names(run.path / "overwritten-2") == {"other"}
    assert (
        "overwritten-1 keeps what this run has not made again: landscape, notes.txt"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("renames", range(7))
def test_overwriting_may_be_killed_at_any_step(tmp_path, monkeypatch, renames):
    """The next command finds the old run as it was, or a new one that is begun."""
    run = train_run(tmp_path)
    with run.claimed():
        for name in ("a.keras", "z.keras", "log.txt"):
            (run.path / name).write_text("old")
        run.finish({"old": 1})
    left = [renames]

    def rename(path, target, move=pathlib.Path.rename):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return move(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", rename)
    with contextlib.suppress(KeyboardInterrupt), run.claimed(overwrite=True):
        pass
    monkeypatch.undo()
    again = train_run(tmp_path)
    with again.claimed():
        if renames < 6:
            assert again.result() == {"old": 1}
            assert all((run.path / name).read_text() == "old" for name in ("a.keras", "z.keras", "log.txt"))
        else:
            assert again.result() is None
            assert (run.path / "overwritten-1" / "a.keras").read_text() == "old"
    with again.claimed(overwrite=True):
        assert again.result() is None


def test_only_what_the_same_command_made_of_the_same_thing_is_overwritten(tmp_path):
    flags = {"dataset": "digits", "epochs": "3"}
    path = tmp_path / "run"
    run = run_dir.RunDir(path, flags, command="distill", same=("dataset",))
    with run.claimed():
        run.finish({"kept": 1})
    others = [
        ("landscape", "digits", "is a run of distill: it is not overwritten"),
        ("train", "digits", "is a run of distill: it is not overwritten"),
        ("distill", "cifar10", "is of --dataset=digits, and not of cifar10: it is not overwritten"),
    ]
    for command, dataset, message in others:
        other = run_dir.RunDir(path, flags | {"dataset": dataset}, command=command, same=("dataset",))
        with pytest.raises(ValueError, match=message), other.claimed(overwrite=True):
            pass
    with pytest.raises(ValueError, match="is a run of distill: choose another folder"):
        run_dir.RunDir(path, flags, command="train").check_flags()
    (path / "flags.cfg").write_text("--dataset=digits\n--epochs=3\n")
    with pytest.raises(ValueError, match="does not say which command made it"), run.claimed(overwrite=True):
        pass
    run.check_flags()
    assert run.result() == {"kept": 1}
    assert names(path) == {"flags.cfg", "result.json"}


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\x00b", "\x1b[2J", "a\x85b", "a\u2028b", "a\udcffb"])
def test_a_flag_that_no_line_can_hold_is_refused(tmp_path, bad):
    with pytest.raises(ValueError, match="has a line break or control character in it"):
        run_dir.RunDir(tmp_path / "run", {"dataset": bad})


@pytest.mark.parametrize("name", ["a b", "ä=ö", "--x", "#", "日本", "a\u00a0b"])
def test_any_other_name_comes_back(tmp_path, name):
    with run_dir.RunDir(tmp_path / "run", {"dataset": name}, command="train").claimed():
        pass
    run_dir.RunDir(tmp_path / "run", {"dataset": name}, command="train").check_flags()


NOT_WHOLE = [b"", b'{"a": 1', b"{}x", b"3", b"\xff\x00", b"[" * 100_000, b'{"a": NaN}', b'{"a": 1e999}']


@pytest.mark.parametrize("content", NOT_WHOLE)
def test_a_result_that_is_not_whole_is_named(tmp_path, content):
    run = train_run(tmp_path)
    with run.claimed():
        run.finish({"a": 1})
    (run.path / "result.json").write_bytes(content)
    with pytest.raises(files.DamagedFileError, match=r"run/result\.json is damaged .*delete it"):
        run.result()


def test_a_folder_in_the_place_of_the_result_is_named_before_any_work(tmp_path):
    (tmp_path / "run" / "result.json").mkdir(parents=True)
    (tmp_path / "run" / "flags.cfg").write_text("")
    with pytest.raises(files.DamagedFileError, match=r"run/result\.json is damaged \(it is a folder\)"):
        train_run(tmp_path).result()


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
from keras_kd.utils import files, run_dir
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
    assert json.loads((run.path / "result.json").read_text())["mine"] == "now"


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
