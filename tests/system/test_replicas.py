"""1, 2 and 4 replicas take the same steps: losses, regularisers, terms, clipping, decay, schedules."""

import json

import numpy as np
import pytest

from keras_kd.models import serialization
from tests.support.arrays import tiny_arrays
from tests.support.networks import brightness_classifier
from tests.support.processes import ROOT, run_forked, run_python


def written(path, script, *arguments):
    status, _, stderr = run_forked(ROOT / "tests" / "system" / script, *arguments)
    assert status == 0, stderr[-2000:]
    with np.load(path) as arrays:
        return dict(arrays)


def trained(replicas, path, *options):
    return written(path, "replica_steps.py", replicas, path, *options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "counts", "bound"),
    [
        ((), (4,), 1e-5),
        (("batch_norm",), (2, 4), 1e-5),
        (("fade",), (2, 4), 1e-5),
        (("merge",), (2, 4), 1e-5),
        (("hint",), (2, 4), 1e-5),
        (("dkd",), (2, 4), 1e-5),
        (("review",), (2,), 1e-4),  # a bias of its own is small beside the rounding of its gradient
    ],
)
def test_replicas_step_like_one_device(tmp_path, options, counts, bound):
    one = trained(1, tmp_path / "1.npz", *options)
    for replicas in counts:
        several = trained(replicas, tmp_path / f"{replicas}.npz", *options)
        assert several.keys() == one.keys()
        for name, value in one.items():
            difference = np.linalg.norm(several[name] - value) / (np.linalg.norm(value) or 1)
            assert difference < bound, f"{name} with {replicas} replicas: {difference:.1e}"


@pytest.mark.slow
def test_examples_of_an_uneven_batch_weigh_the_same(tmp_path):
    """Of 9 examples one replica has 5 and the other 4; each would weigh 1/10 or 1/8."""
    one, two = (trained(n, tmp_path / f"{n}.npz", "batch_norm", "uneven") for n in (1, 2))
    for name, value in one.items():
        difference = np.linalg.norm(two[name] - value) / (np.linalg.norm(value) or 1)
        assert difference < 1e-5, f"{name}: {difference:.1e}"


@pytest.mark.slow
def test_labels_that_count_weigh_the_same(tmp_path):
    """Of 8 examples in a batch one replica ignores three and the other one."""
    one, two = (trained(n, tmp_path / f"{n}.npz", "ignored") for n in (1, 2))
    for name in (each for each in one if each.startswith("arr_")):
        difference = np.linalg.norm(two[name] - one[name]) / (np.linalg.norm(one[name]) or 1)
        assert difference < 1e-5, f"{name}: {difference:.1e}"


@pytest.mark.slow
@pytest.mark.parametrize(("replicas", "options"), [(2, ("batch_norm", "uneven")), (4, ())])
def test_a_loss_of_the_batch_compares_the_examples_of_each_replica(tmp_path, replicas, options):
    """One device takes the mean over the parts of a batch, weighted by their numbers of examples."""
    several = trained(replicas, tmp_path / "several.npz", *options, "dist")
    one = trained(1, tmp_path / "one.npz", *options, "dist", f"parts={replicas}")
    whole = trained(1, tmp_path / "whole.npz", *options, "dist")
    name = "train_dist_of_parts_loss"
    assert abs(one[name] - whole["train_dist_loss"]) > 1e-3 * one[name]  # the definition matters
    for name, value in one.items():
        found = several[name.replace("dist_of_parts", "dist")]
        difference = np.linalg.norm(found - value) / (np.linalg.norm(value) or 1)
        assert difference < 1e-5, f"{name} with {replicas} replicas: {difference:.1e}"


@pytest.mark.slow
def test_whole_runs_on_1_2_and_4_replicas_are_the_same(tmp_path):
    """Synchronised BatchNorm, clipping, augmentation; 14 validation and 23 test images do not divide.

    With two the teacher was asked before; with four the images lie on the devices.
    """
    arrays = tiny_arrays(np.random.default_rng(0), train=133, test=23)
    np.savez(tmp_path / "data.npz", **arrays)
    teacher = brightness_classifier(arrays["x_train"], arrays["y_train"])
    serialization.save_model(teacher, tmp_path / "teacher.keras")
    options = {1: [], 2: ["--teacher_views=1", "--teacher_dtype=float32"], 4: ["--images=device"]}
    results = {replicas: whole_run(tmp_path, replicas, options[replicas]) for replicas in options}
    one = results[1]
    assert one["dataset"]["examples"] == {"train": 119, "validation": 14, "test": 23}
    for replicas in (2, 4):
        several = results[replicas]
        for label, history in one["history"].items():
            assert several["history"][label].keys() == history.keys()
            for name, values in history.items():
                np.testing.assert_allclose(
                    several["history"][label][name], values, rtol=1e-4, atol=1e-4, err_msg=name
                )
        for label, row in one["networks"].items():
            assert several["networks"][label]["accuracy"] == row["accuracy"]
            assert several["networks"][label]["agreement"] == row["agreement"]
            assert several["networks"][label]["loss"] == pytest.approx(row["loss"], rel=1e-4)


TWO_STRATEGIES = """
import keras, tensorflow as tf
import keras_kd
from tests.support.networks import mlp
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
for devices in (["CPU:0", "CPU:1"], ["CPU:0", "CPU:1"], ["CPU:2", "CPU:3"]):
    with tf.distribute.MirroredStrategy(devices).scope():
        keras_kd.Distiller(mlp(), mlp())
    print(devices)
"""


@pytest.mark.slow
def test_a_second_strategy_of_the_callers_is_told_before_it_aborts_the_first():
    status, output, errors = run_python("-c", TWO_STRATEGIES)
    assert (status, output.count("CPU:1")) == (1, 2)
    assert "has a strategy on CPU:0, CPU:1" in errors.splitlines()[-1]
    assert "another on CPU:2, CPU:3" in errors.splitlines()[-1]


def whole_run(folder, replicas, options):
    status, _, errors = run_forked(
        "experiments.distill",
        "--dataset=data.npz",
        "--epochs=1",
        "--batch_size=24",
        "--teacher=teacher.keras",
        "--student_depth=8",
        "--student_width=4",
        "--shortcut_removal=fade",
        "--augmentation=crop_flip+resized_crop+color_jitter+mixup+cutmix",
        "--ema=0.5",
        "--label_smoothing=0.1",
        "--strategy=mirrored",
        f"--replicas={replicas}",
        *options,
        f"--out=runs/{replicas}",
        cwd=folder,
    )
    assert status == 0, errors[-2000:]
    return json.loads((folder / "runs" / str(replicas) / "result.json").read_text())
