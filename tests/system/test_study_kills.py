"""A study that is killed, or asked to end, and given again."""

import pathlib
import re
import signal
import time

import pytest

from tests.support.processes import Forked, run_forked
from tests.support.studies import study_folder, study_table

COMMAND = ("experiments.study", "--study=mine.yaml", "--out=runs/mine", "--seeds=1")
RUNS = 3


def wait_for(ask, process, seconds=120):
    """Until `ask()` is true of a process that has not ended."""
    deadline = time.monotonic() + seconds
    while not ask():
        assert process.poll() is None
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.mark.slow
def test_kills_on_the_way_change_nothing_but_times(tmp_path_factory):
    """While its worker begins, within a run, and when the first run is done."""
    cwd = study_folder(tmp_path_factory, "killed")

    def has_worker():
        return pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()

    def has(pattern):
        return list((cwd / "runs" / "mine" / "runs").glob(pattern))

    for ask in (has_worker, lambda: has("*/log.txt"), lambda: has("*/result.json")):
        process = Forked(*COMMAND, cwd=cwd)
        wait_for(ask, process)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert len(has("*/result.json")) < RUNS
    status, _, errors = run_forked(*COMMAND, cwd=cwd)
    assert status == 0, errors
    whole = study_folder(tmp_path_factory, "whole")
    status, _, errors = run_forked(*COMMAND, cwd=whole)
    assert status == 0, errors
    assert len(study_table(whole)) == RUNS
    assert study_table(cwd) == study_table(whole)


@pytest.mark.slow
def test_sigterm_ends_it_with_the_status_that_asks_for_more(tmp_path_factory):
    cwd = study_folder(tmp_path_factory, "asked")
    output = cwd / "output.txt"
    process = Forked(*COMMAND, cwd=cwd, output=output)
    wait_for((cwd / "runs" / "mine" / "study.json").exists, process)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75, output.read_text()
    assert re.search(r"stopped by SIGTERM with \d of 3 runs done: the same command", output.read_text())
