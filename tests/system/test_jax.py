"""The core's own tests once more, on the JAX backend, in a process without TensorFlow modules."""

import pytest

from tests.support.processes import ROOT, run_python
from tests.support.rooms import CORE_TESTS

COMPILE_LITTLE = {  # it takes most of the time: less of it for each program, and each but once
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


@pytest.mark.slow
def test_the_core_passes_on_jax(tmp_path):
    tests = [ROOT / "tests" / name for name in CORE_TESTS if (ROOT / "tests" / name).exists()]
    status, output, errors = run_python(
        "-m",
        "pytest",
        "-q",
        "-n2",  # this process only waits
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        *tests,
        KERAS_BACKEND="jax",
        **COMPILE_LITTLE,
        JAX_COMPILATION_CACHE_DIR=str(tmp_path),
        timeout=1200,
    )
    assert status == 0, output[-4000:] + errors[-2000:]
    assert " passed" in output
