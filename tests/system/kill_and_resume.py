"""Kills the main job with SIGKILL again and again and compares what comes out with an undisturbed run.

    python -m tests.system.kill_and_resume --kills=20 --seed=0 FOLDER

Each job is started, killed and started again by the same command until it ends; then the next
one begins, until all kills are spent. A kill strikes at a random time, while a checkpoint is
being written, or during the export. Prints one line per kill and per job, and the table; the exit
status is 1 if any bit differs.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import signal
import sys
import time

import numpy as np
import tensorflow as tf

from keras_kd.models import serialization
from keras_kd.utils import files
from tests.support.arrays import tiny_arrays
from tests.support.processes import Forked

KINDS = ("random time", "checkpoint write", "export")
FLAGS = (
    "--dataset=tiny.npz",
    "--epochs=6",
    "--batch_size=24",
    "--strategy=none",
    "--deterministic",
    "--snapshots=2",
    "--shortcut_removal=fade+merge:fade_end=0.7",
    "--jobs=1",
    "--teacher_depth=8",
    "--teacher_width=4",
    "--student_depth=8",
    "--student_width=3",
    "--loss=kd+fitnets+kdpp",  # with weights of its own, and with class centres
)


class Job:
    """The main job in a folder of its own, as a child process."""

    def __init__(self, folder, name, output=None):
        self.run = folder / "runs" / name
        self.export = self.run / "saved_model"
        self._folder = folder
        self._output = output or folder / "output.txt"
        self._process = None

    def start(self):
        self._output.unlink(missing_ok=True)
        flags = (f"--out=runs/{self.run.name}", *FLAGS)
        self._process = Forked("experiments.distill", *flags, cwd=self._folder, output=self._output)

    @property
    def pid(self):
        return self._process.pid

    def output(self):
        return self._output.read_text(errors="replace")

    def running(self):
        return self._process.poll() is None

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self):
        """The exit status."""
        return self._process.wait()

    def kill(self):
        """Returns whether there was something left to kill."""
        self.signal(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def finish(self):
        """Starts the job and waits for its end."""
        self.start()
        status = self.wait()
        assert status == 0, self.output()[-2000:]

    def killed_at(self, kind, rng, seconds):
        """Starts the job and kills it; False if it ended before."""
        self.start()
        began = time.monotonic()
        moment = rng.uniform(0, seconds)
        count = rng.integers(1, 6)  # of appearances of the file to wait for
        watched, part = self.run / "checkpoints", ".part"
        if kind == "export":
            watched, part = self.run, f".part-{self.export.name}"
        delay = 0.0 if kind == "checkpoint write" else rng.uniform(0, 1.0)
        seen = False
        while self.running():
            if kind == "random time" and time.monotonic() - began > moment:
                return self.kill()
            if kind != "random time":
                now = any(name.startswith(part) for name in _names(watched))
                count -= now and not seen
                if now and (count <= 0 or kind == "export"):
                    time.sleep(delay)
                    return self.kill()
                seen = now
        assert self.wait() == 0, self.output()[-2000:]
        return False

    def outcome(self):
        """Everything that must not differ, `{what: value}`; times are left out."""
        result = json.loads((self.run / "result.json").read_text())
        result.pop("checksum")  # of the seconds too
        assert result["dataset"].pop("absolute_name") == os.path.abspath(self._folder / "tiny.npz")
        for row in result["networks"].values():
            del row["seconds"]
        weights = {
            f"{path.stem} {place}": weight.tobytes()
            for path in self.run.glob("*.keras")
            for place, weight in enumerate(serialization.load_model(path).get_weights())
        }
        ways = {
            str(path.relative_to(self.run)): list(map(np.ndarray.tobytes, files.read_arrays(path).values()))
            for path in (self.run / "trajectory").rglob("*.npz")
        }
        lines = (self.run / "log.txt").read_text().splitlines()
        log = [re.sub(r" [\d.]+s ", " ", line) for line in lines]
        exported = tf.train.load_checkpoint(str(self.export / "variables" / "variables"))
        served = sorted(  # Keras numbers them in another order in each process
            exported.get_tensor(name).tobytes()
            for name, dtype in exported.get_variable_to_dtype_map().items()
            if dtype != tf.string
        )
        return {"result.json": result, "log.txt": log, "SavedModel": served, **weights, **ways}


def _names(folder):
    """Of a folder that may come and go while a job begins."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def tiny_dataset(path):
    """4 classes told apart by their brightness."""
    np.savez(path, **tiny_arrays(np.random.default_rng(0), train=120))


def undisturbed(folder):
    """The outcome to compare with, and the seconds it takes."""
    tiny_dataset(folder / "tiny.npz")
    began = time.monotonic()
    job = Job(folder, "undisturbed")
    job.finish()
    return job.outcome(), time.monotonic() - began


def differences(outcome, reference):
    """What is not the same, bit for bit."""
    return sorted(what for what in reference | outcome if outcome.get(what) != reference.get(what))


def disturbed(folder, reference, seconds, kills, seed):
    """Runs jobs until all kills are spent; returns `{kind: kills}`, the jobs, and what differed."""
    rng = np.random.default_rng(seed)
    spent, jobs, differing = collections.Counter(), 0, []
    while spent.total() < kills:
        jobs += 1
        job = Job(folder, f"job{jobs}")
        while spent.total() < kills:
            kind = KINDS[spent.total() % len(KINDS)]
            if not job.killed_at(kind, rng, seconds):
                break
            spent[kind] += 1
            saved = len(list(job.run.glob("checkpoints/*.npz")))
            print(f"kill {spent.total()}, job {jobs}, {kind}: left {saved} checkpoints", flush=True)
        else:
            job.finish()
        found = differences(job.outcome(), reference)
        differing += found
        print(f"job {jobs}: differs in {', '.join(found) or 'nothing'}", flush=True)
    return spent, jobs, differing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()

    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    reference, seconds = undisturbed(folder)
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    spent, jobs, differing = disturbed(folder, reference, seconds, arguments.kills, arguments.seed)
    for kind in KINDS:
        print(f"{kind}: {spent[kind]} kills")
    print(f"{spent.total()} kills, {jobs} jobs, {len(differing)} differences")
    sys.exit(bool(differing))


if __name__ == "__main__":
    main()
