"""What TensorFlow says of itself is not shown; what else is written to stderr is."""

import os
import sys

import pytest

from keras_kd.utils import quiet
from tests.support.processes import run_python


@pytest.mark.slow
def test_importing_says_nothing_and_hides_nothing():
    script = """
import keras_kd, sys
print("before", file=sys.stderr)
keras_kd.cifar_resnet(8, (8, 8, 1), 2, width=2)(__import__("numpy").zeros((1, 8, 8, 1)))
print("after", file=sys.stderr)
"""
    environment = {name: "" for name in ("TF_CPP_MIN_LOG_LEVEL",) if name in os.environ}
    status, _, errors = run_python("-c", script, **environment, KERAS_BACKEND="tensorflow")
    assert status == 0, errors
    assert errors.splitlines() == ["before", "after"]


def test_only_what_tensorflow_says_of_itself_is_left_out(capfd):
    with quiet.filtered_stderr():
        print("a warning of ours", file=sys.stderr)
        os.write(2, b"I0000 00:00:1.2 17 port.cc:153] oneDNN custom operations are on.\n")
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\n")
        os.write(2, b"E0000 00:00:1.2 17 loader.cc:1] out of memory\n")
        os.write(2, b"W0000 00:00:1.2 17 loader.cc:1] deprecated\n")
    assert capfd.readouterr().err.splitlines() == [
        "a warning of ours",
        "E0000 00:00:1.2 17 loader.cc:1] out of memory",
        "W0000 00:00:1.2 17 loader.cc:1] deprecated",
    ]
