"""One, two and four devices on JAX train the same network, step by step, and measure the same."""

import json

import numpy as np
import pytest

from tests.support.arrays import tiny_arrays
from tests.support.processes import run_python

pytestmark = pytest.mark.slow  # a process of its own, in which the CPU is divided

SCRIPT = """
import json, sys
import keras, numpy as np
from keras_kd import training
from keras_kd.data import datasets
from keras_kd.distillation import cache_logits, shortcut_removal
from keras_kd.training import inputs
from keras_kd.training.distributed import strategy
from tests.support.networks import one_block

dataset = datasets.load("tiny.npz", validation_fraction=0.12)  # 10 images: no multiple of 4

def train(views=0, way=None, **options):
    settings = training.Settings(epochs=2, batch_size=24, learning_rate=0.1, warmup_fraction=0.1, **options)
    with strategy.scope(settings):
        teacher, student = one_block(seed=1), one_block(seed=0, shortcuts=False, dropout=0.2)
    schedule = inputs.batch_schedule(dataset, settings, views)
    folder = f"logits{settings.replicas}"
    logits = cache_logits(teacher, dataset, schedule, folder, dtype="float32") if views else None
    removal = way and shortcut_removal.parse_spec(way)
    done = training.distill(
        teacher, student, dataset, settings, teacher_logits=logits, shortcut_removal=removal
    )
    measured = training.evaluate(student, dataset, teacher=teacher)
    devices = len(student.weights[0].value.sharding.device_set)
    weights = np.concatenate([np.ravel(keras.ops.convert_to_numpy(each)) for each in student.weights])
    return {"devices": devices, "weights": weights.tolist(), "logs": done.history, "measured": measured}

found = {}
for case, options in {"live": {}, "cached": {"views": 2, "way": "fade"}}.items():
    found[case] = [train(strategy="none", **options)]
    counts = (1, 2, 4) if case == "live" else (4,)
    found[case] += [train(strategy="data_parallel", replicas=count, **options) for count in counts]
fitting = inputs.with_fitting_batch(training.Settings(strategy="data_parallel"), 47)
with strategy.scope(fitting):
    found["fitting"] = fitting.batch_size
for bad in ({"replicas": 5}, {"replicas": 0, "batch_size": 22}):
    try:
        with strategy.scope(training.Settings(strategy="data_parallel", **bad)):
            pass
    except ValueError as error:
        found.setdefault("errors", []).append(str(error))
try:
    alone = one_block()
    alone.name = "alone"
    training.train(alone, dataset, training.Settings(batch_size=24, strategy="data_parallel"))
except ValueError as error:
    found["errors"].append(str(error))
json.dump(found, open("found.json", "w"))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("devices")
    np.savez(cwd / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    status, _, errors = run_python(
        "-c",
        SCRIPT,
        cwd=cwd,
        KERAS_BACKEND="jax",
        XLA_FLAGS="--xla_force_host_platform_device_count=4",
        JAX_DISABLE_MOST_OPTIMIZATIONS="1",
        timeout=1800,
    )
    assert status == 0, errors[-3000:]
    return json.loads((cwd / "found.json").read_text())


@pytest.mark.parametrize("case", ["live", "cached"])
def test_any_number_of_devices_trains_the_same_network(found, case):
    one, *others = found[case]
    assert [each["devices"] for each in others] == ([1, 2, 4] if case == "live" else [4])
    for other in others:
        difference = np.linalg.norm(np.subtract(other["weights"], one["weights"]))
        assert difference < 1e-5 * np.linalg.norm(one["weights"])
        assert other["logs"].keys() == one["logs"].keys()
        for name, values in one["logs"].items():
            np.testing.assert_allclose(other["logs"][name], values, rtol=1e-5, atol=1e-6, err_msg=name)
        assert other["measured"] == pytest.approx(one["measured"], rel=1e-5)


def test_a_batch_that_nobody_gave_is_shared_evenly_by_the_devices(found):
    assert found["fitting"] == 44


def test_what_cannot_be_shared_is_told_in_one_line(found):
    assert [error.partition(". Received")[0] for error in found["errors"]] == [
        "JAX has 4 devices here (XLA_FLAGS=--xla_force_host_platform_device_count=5 divides a CPU)",
        "batch_size must be a multiple of the 4 replicas",
        "'alone' was made on 1 devices and is to be trained on 4: make it inside "
        "`with strategy.scope(settings)`",
    ]
