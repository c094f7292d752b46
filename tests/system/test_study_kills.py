"""A study that is killed, or asked to end, and given again."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.support.processes import ROOT, run_python
from tests.support.studies import STUDY_RUNS, study_folder, study_table

COMMAND = ("-m", "experiments.study", "--study=mine.yaml", "--out=runs/mine")


@pytest.mark.slow
def test_five_kills_on_the_way_change_nothing_but_times(tmp_path_factory):
    cwd = study_folder(tmp_path_factory, "killed")
    rng = np.random.default_rng(0)
    kills, environment = 0, {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(40):
        process = subprocess.Popen(
            [sys.executable, *COMMAND],
            cwd=cwd,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if kills == 5:
            assert process.wait(timeout=600) == 0
            break
        wait_for_work(cwd, process)
        time.sleep(rng.uniform(0, 4))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 5
    whole = study_folder(tmp_path_factory, "whole")
    status, _, errors = run_python(*COMMAND, cwd=whole)
    assert status == 0, errors
    assert len(study_table(whole)) == STUDY_RUNS
    assert study_table(cwd) == study_table(whole)


def wait_for_work(cwd, process):
    """Until the study has a process that trains."""
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    while process.poll() is None:
        begun = list((cwd / "runs" / "mine" / "runs").glob("*/log.txt"))
        if begun or os.path.exists(children):
            return
        time.sleep(0.05)


@pytest.mark.slow
def test_sigterm_ends_it_with_the_status_that_asks_for_more(tmp_path_factory):
    cwd = study_folder(tmp_path_factory, "asked")
    with subprocess.Popen(
        [sys.executable, *COMMAND],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (cwd / "runs" / "mine" / "study.json").exists():
            time.sleep(0.1)
        time.sleep(1.0)
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert re.search(r"stopped by SIGTERM with \d of 6 runs done: the same command", errors)
