"""A signal ends an analysis between two steps, and the same command goes on."""

import signal
import time

import numpy as np
import pytest

from keras_kd.analysis import reuse
from keras_kd.training.distributed import watchdog
from keras_kd.utils import files
from tests.support.analyses import REUSE, untrained_run
from tests.support.processes import Forked, run_forked


@pytest.mark.slow
def test_a_signal_stops_it_between_two_pieces_and_nothing_is_measured_again(tmp_path):
    run = untrained_run(tmp_path)
    command = ("experiments.reuse", f"--run={run}", *REUSE, "--out=stopped")
    arrays, output = tmp_path / "stopped" / reuse.ARRAYS, tmp_path / "output.txt"
    process = Forked(*command, cwd=tmp_path, output=output)
    while not arrays.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == watchdog.EXIT_RESUME, output.read_text()[-3000:]
    assert "stopped by SIGTERM" in output.read_text()
    stored = files.read_arrays(arrays)
    assert any(name.startswith("cka/teacher/student alone/") for name in stored)
    assert "lesions/student distilled/single" not in stored
    status, _, errors = run_forked(*command, cwd=tmp_path)
    assert status == 0, errors[-3000:]
    whole = files.read_arrays(arrays)
    assert "lesions/student distilled/single" in whole
    for name in stored:
        if not name.startswith("under way/"):
            np.testing.assert_array_equal(whole[name], stored[name])
