"""`experiments.reuse` on networks that no run trained: whatever is wrong, whatever stops it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_kd.analysis import reuse
from keras_kd.data import datasets
from keras_kd.models import serialization
from keras_kd.training.distributed import watchdog
from keras_kd.utils import files
from tests.support.arrays import tiny_arrays
from tests.support.networks import mlp, trio
from tests.support.processes import ROOT, run_python

FLAGS = ("--draws=1", "--most=1", "--probe_examples=24", "--batch_size=16", "--examples=24")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run with a teacher that is not ours."""
    folder = tmp_path_factory.mktemp("work") / "run"
    folder.mkdir()
    path = folder.parent / "tiny.npz"
    np.savez(path, **tiny_arrays(np.random.default_rng(0), shape=(8, 8, 1)))
    dataset = datasets.load(str(path), seed=2)
    networks = trio()
    serialization.save_model(mlp(name="other"), folder / "teacher.keras")
    serialization.save_model(networks["plain"], folder / "student_alone.keras")
    serialization.save_model(networks["residual"], folder / "student.keras")
    sizes = {split: len(getattr(dataset, split).labels) for split in ("train", "validation", "test")}
    described = {"name": str(path), "fingerprint": dataset.fingerprint, "examples": sizes}
    files.write_json({"seed": 2, "networks": {}, "dataset": described}, folder / "result.json")
    (folder / "flags.cfg").write_text("--validation_fraction=0.1\n")
    return folder


def script(run, *flags):
    return run_python("-m", "experiments.reuse", f"--run={run}", *FLAGS, *flags, cwd=run.parent)


def test_a_run_with_a_teacher_of_other_layers_needs_no_further_flag(run):
    status, output, errors = script(run)
    assert status == 0, errors[-3000:]
    remark = "teacher has no blocks, as none of its layers is named like stage1_block1_conv1: all its layers"
    page = (run / "reuse" / "reuse.html").read_text(encoding="utf-8")
    assert remark in output
    assert remark in page
    (group,) = json.loads((run / "reuse" / "result.json").read_text())["groups"]
    assert ["lesions" in network for network in group["networks"]] == [False, True, True]
    arrays = files.read_arrays(run / "reuse" / reuse.ARRAYS)
    np.testing.assert_array_equal(arrays["probes/student distilled/values"], group["networks"][2]["probes"])
    drawn_with = np.random.SeedSequence([0, group["seed"]]).generate_state(1)[0]
    assert json.loads(str(arrays["identity"]))["seed"] == drawn_with


@pytest.mark.parametrize("flag", ["--batch_size=6", "--examples=2"])
def test_values_out_of_range_are_refused(run, flag):
    status, output, errors = script(run, flag, "--out=bad")
    assert status == 1
    assert f"flag {flag}" in output + errors
    assert not (run.parent / "bad").exists()


@pytest.mark.slow
def test_a_signal_stops_it_between_two_pieces_and_nothing_is_measured_again(run):
    command = [sys.executable, "-m", "experiments.reuse", f"--run={run}", *FLAGS, "--out=stopped"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arrays = run.parent / "stopped" / reuse.ARRAYS
    with subprocess.Popen(
        command, cwd=run.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not arrays.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == watchdog.EXIT_RESUME, errors[-3000:]
    assert "stopped by SIGTERM" in errors
    kept = files.read_arrays(arrays)
    assert any(name.startswith("cka/teacher/student alone/") for name in kept)
    assert "lesions/student distilled/single" not in kept
    status, _, errors = script(run, "--out=stopped")
    assert status == 0, errors[-3000:]
    whole = files.read_arrays(arrays)
    assert "lesions/student distilled/single" in whole
    for name in kept:
        if not name.startswith("under way/"):
            np.testing.assert_array_equal(whole[name], kept[name])
