"""Searches that are killed, by one process and by a chief with workers, and on several replicas."""

import re
import signal
import time

import pytest

from tests.support.processes import Forked, free_port, run_forked
from tests.support.searches import SEARCH, TRIALS, search_folder, search_result

pytestmark = pytest.mark.slow

COMMAND = ("experiments.search", *SEARCH)


def script(*flags, cwd, **environment):
    return run_forked(*COMMAND, *flags, cwd=cwd, **environment)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a search that nothing disturbed."""
    cwd = search_folder(tmp_path_factory, "finished")
    status, _, errors = script(cwd=cwd)
    assert status == 0, errors[-3000:]
    return cwd


def outcome(cwd):
    """What must not depend on how a search went: all of its numbers but times."""
    found = search_result(cwd)
    trials = [{key: value for key, value in trial.items() if key != "seconds"} for trial in found["trials"]]
    return {"trials": trials, "best": found["best"]["trial"], "test": found["test"]}


def start(cwd, *flags, **options):
    return Forked(*COMMAND, *flags, cwd=cwd, **options)


def wait_for(pattern, cwd, process, seconds=120):
    """Until a file is there, or the process has ended."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        found = sorted(cwd.glob(pattern))
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{pattern} did not come")


def test_kills_in_the_middle_of_trials_change_nothing_but_times(finished, tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "killed")
    # In the first trial's first seed, and in the last trial.
    for pattern in ("runs/mine/trials/0/seed-0/log.txt", "runs/mine/trials/1/seed-0/log.txt"):
        process = start(cwd)
        wait_for(pattern, cwd, process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    status, _, errors = script(cwd=cwd)
    assert status == 0, errors[-3000:]
    assert f"[{TRIALS}/{TRIALS}" in errors
    assert "trial 0" not in errors  # it was kept
    assert outcome(cwd) == outcome(finished)


def test_a_chief_and_two_workers_of_which_one_is_killed_with_its_trial(finished, tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "workers")
    where = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free_port())}
    flags = ("--worker_silence=4", "--chief_patience=60")
    processes = {}
    for name in ("chief", "a", "b"):
        output = cwd / f"{name}.txt"
        processes[name] = start(cwd, *flags, output=output, KERASTUNER_TUNER_ID=name, **where)
    wait_for("runs/mine/trials/0/seed-0", cwd, processes["chief"])
    wait_for("runs/mine/trials/1/seed-0", cwd, processes["chief"])
    processes["a"].send_signal(signal.SIGKILL)
    statuses = {name: process.wait(timeout=240) for name, process in processes.items()}
    said = {name: (cwd / f"{name}.txt").read_text() for name in processes}
    assert statuses == {"chief": 0, "a": -signal.SIGKILL, "b": 0}, said
    assert re.search(r"worker a has been silent for 4 s: trial [01] goes to another", said["chief"])
    assert f"[{TRIALS}/{TRIALS}" in said["chief"]
    assert "worker b is done" in said["b"]
    assert " on validation" in said["b"]
    assert "n/a on validation" not in said["b"]
    assert outcome(cwd) == outcome(finished)


def test_a_chief_without_workers_gives_up_and_a_worker_without_its_chief_too(tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "alone")
    where = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(free_port())}
    status, _, errors = script("--worker_patience=1", cwd=cwd, KERASTUNER_TUNER_ID="chief", **where)
    assert status == 75, errors
    assert "no worker for 1 s, with 0 trials done: the same command" in errors
    chief = start(cwd, KERASTUNER_TUNER_ID="chief", **where)
    output = cwd / "a.txt"
    worker = start(cwd, "--chief_patience=60", output=output, KERASTUNER_TUNER_ID="a", **where)
    wait_for("runs/mine/trials/0/seed-0", cwd, worker)
    chief.send_signal(signal.SIGKILL)
    assert worker.wait(timeout=60) == 75
    assert re.search(r"the chief at 127.0.0.1:\d+ is gone: the same command", output.read_text())
    chief.wait()


def test_replicas_within_a_search(tmp_path_factory):
    cwd = search_folder(tmp_path_factory, "replicas")
    flags = ("--strategy=mirrored", "--replicas=2", "--trials=1", "--seeds_per_trial=1", "--epochs=1")
    status, output, errors = script(*flags, cwd=cwd)
    assert status == 0, errors[-3000:]
    assert "best: T = " in output
