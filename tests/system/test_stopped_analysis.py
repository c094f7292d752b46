"""A signal ends an analysis between two steps, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_kd.analysis import reuse
from keras_kd.training.distributed import watchdog
from keras_kd.utils import files
from tests.support.analyses import REUSE, untrained_run
from tests.support.processes import ROOT


@pytest.mark.slow
def test_a_signal_stops_it_between_two_pieces_and_nothing_is_measured_again(tmp_path):
    run = untrained_run(tmp_path)
    command = [sys.executable, "-m", "experiments.reuse", f"--run={run}", *REUSE, "--out=stopped"]
    started = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}, "text": True}
    arrays = tmp_path / "stopped" / reuse.ARRAYS
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **started, **pipes) as process:
        while not arrays.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == watchdog.EXIT_RESUME, errors[-3000:]
    assert "stopped by SIGTERM" in errors
    stored = files.read_arrays(arrays)
    assert any(name.startswith("cka/teacher/student alone/") for name in stored)
    assert "lesions/student distilled/single" not in stored
    done = subprocess.run(command, **started, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    whole = files.read_arrays(arrays)
    assert "lesions/student distilled/single" in whole
    for name in stored:
        if not name.startswith("under way/"):
            np.testing.assert_array_equal(whole[name], stored[name])
