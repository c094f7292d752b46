"""The main job under faults: killed, asked to stop, out of disk, two of a kind, run for long."""

import fcntl
import json
import re
import signal
import subprocess
import time

import numpy as np
import pytest

from tests.support.processes import ROOT, error_line, run_python
from tests.system import kill_and_resume

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder with the data, the outcome of an undisturbed run in it, and its seconds."""
    folder = tmp_path_factory.mktemp("work")
    return folder, *kill_and_resume.undisturbed(folder)


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs, and a function that sets its size; what is on it is gone afterwards."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")

    def resize(kilobytes):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", disk], check=True)

    yield disk, resize
    subprocess.run(["umount", "-l", disk], check=True)


def wait_for(path):
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_killed_runs_end_bit_for_bit_like_an_undisturbed_one(undisturbed):
    folder, reference, seconds = undisturbed
    kills, _, differing = kill_and_resume.disturbed(folder, reference, seconds, kills=3, seed=0)
    assert kills.total() == 3
    assert differing == []


def test_a_run_that_is_asked_to_stop_says_resume_me(undisturbed):
    folder, reference, _ = undisturbed
    job = kill_and_resume.Job(folder, "stopped")
    job.start()
    wait_for(job.run / "checkpoints" / "teacher.1.npz")
    job.signal(signal.SIGTERM)
    assert job.wait() == 75, job.output()
    assert re.search(r"stopped by SIGTERM with \d of 6 epochs done: the same command", job.output())
    with (job.run / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job.start()
        assert job.wait() == 1
        assert "is in use by another process" in error_line(job.output())
    job.finish()
    assert kill_and_resume.differences(job.outcome(), reference) == []


@pytest.mark.parametrize("kilobytes", [400, 1450], ids=["while training", "while exporting"])
def test_a_full_disk_is_named_and_costs_nothing(undisturbed, small_disk, tmp_path, kilobytes):
    _, reference, _ = undisturbed
    disk, resize = small_disk
    kill_and_resume.tiny_dataset(disk / "tiny.npz")
    resize(kilobytes)
    job = kill_and_resume.Job(disk, "full", output=tmp_path / "output.txt")
    job.start()
    assert job.wait() == 1
    line = error_line(job.output())
    assert "the disk is full" in line
    assert str(job.run.relative_to(disk)) in line or "saved_models" in line
    assert not (job.run / "result.json").exists()
    assert not list(disk.rglob(".part-*"))
    assert (job.run / "student.keras").exists() == (kilobytes == 1450)
    resize(10_000)
    job.finish()
    assert "is damaged" not in job.output()
    assert kill_and_resume.differences(job.outcome(), reference) == []


def test_memory_does_not_grow_from_epoch_to_epoch(tmp_path):
    """One more copy of the data would be 1.3 MB an epoch. One arena, for many fill up over 100 epochs."""
    data = ("--examples=6000", "--size=8", "--batch_size=500")
    status, output, errors = run_python(
        ROOT / "tests" / "system" / "memory_over_epochs.py",
        tmp_path / "data.npz",
        *data,
        "--epochs=40",  # one block that comes late is no slope
        MALLOC_ARENA_MAX="1",
    )
    assert status == 0, errors
    measured = json.loads(output.splitlines()[-1])
    later = measured["epochs"][5:]
    slope = np.polyfit(range(len(later)), later, 1)[0]
    assert slope < 0.5, measured
