"""1, 2 and 4 replicas take the same steps: losses, regularisers, terms, clipping, decay, schedules."""

import numpy as np
import pytest
from conftest import ROOT, run_python


def written(path, script, *arguments):
    status, _, stderr = run_python(ROOT / "tests" / script, *arguments)
    assert status == 0, stderr[-2000:]
    with np.load(path) as arrays:
        return dict(arrays)


def trained(replicas, path, *options):
    return written(path, "replica_steps.py", replicas, path, *options)


@pytest.mark.parametrize("options", [(), ("batch_norm",)], ids=["plain", "batch_norm"])
def test_replicas_step_like_one_device(tmp_path, options):
    one = trained(1, tmp_path / "1.npz", *options)
    for replicas in (2, 4):
        several = trained(replicas, tmp_path / f"{replicas}.npz", *options)
        assert several.keys() == one.keys()
        for name, value in one.items():
            difference = np.linalg.norm(several[name] - value) / (np.linalg.norm(value) or 1)
            assert difference < 1e-5, f"{name} with {replicas} replicas: {difference:.1e}"


def test_training_under_a_strategy_is_training_on_one_device(tmp_path, npz):
    """Settings, pipeline, synchronised BatchNorm, clipping and evaluation, all as a script uses them."""
    one, two = (
        written(tmp_path / f"{n}.npz", "replica_training.py", n, npz, tmp_path / f"{n}.npz") for n in (1, 2)
    )
    assert two.keys() == one.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
