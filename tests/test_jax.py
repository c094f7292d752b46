"""The core's own tests once more, on the JAX backend, in a process without TensorFlow modules."""

import pytest
from conftest import CORE_TESTS, ROOT, run_python


@pytest.mark.slow
def test_the_core_passes_on_jax():
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
        JAX_DISABLE_MOST_OPTIMIZATIONS="1",  # compiling takes most of the time
        timeout=1200,
    )
    assert status == 0, output[-4000:] + errors[-2000:]
    assert " passed" in output
