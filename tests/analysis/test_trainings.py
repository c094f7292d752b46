"""What a network was at the snapshots of its training."""

import math

import numpy as np
import pytest

import keras_kd
from keras_kd.analysis import inputs
from keras_kd.data import datasets
from keras_kd.distillation import shortcut_removal
from keras_kd.models import fading, serialization, weights
from keras_kd.utils import files
from tests.support.networks import shaken

EPOCHS, STEPS = 4, 3  # 72 examples in batches of 24


def plain():
    return shaken(keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, shortcuts=False))


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


def put(point, network):
    for weight in network.weights:
        if weight.path in point:
            weight.assign(point[weight.path])


def run_of(folder, spec, student, points, labels=("teacher", "student_fade")):
    """A run of distill that trained nothing: its networks, the student's snapshots, its result."""
    teacher = shaken(keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4), seed=5)
    for label, network in zip(labels, (teacher, student), strict=True):
        serialization.save_model(network, folder / f"{label}.keras")
    for epochs, point in points.items():
        files.write_arrays(point, folder / "trajectory" / labels[1] / f"{epochs:05d}.npz")
    logs = {"val_accuracy": [0.5] * EPOCHS, "gate": [0.5] * EPOCHS, "loss": [1.0] * EPOCHS}
    result = {"seed": 1, "networks": {label: {} for label in labels}, "history": {labels[1]: logs}}
    settings = {"epochs": EPOCHS, "batch_size": 24}
    return teacher, result | {"settings": settings, "shortcut_removal": spec}


@pytest.mark.parametrize(
    ("spec", "way"),
    [
        ("fade:fade_end=0.75:fade_curve=linear", "fade:fade_end=0.75:fade_curve=linear"),
        ("layerwise:fade_end=0.5:start_from=gone.keras", "layerwise:fade_end=0.5"),
        ("layerwise:fade_curve=linear:fade_order=input_first", "layerwise"),
        ("fade+merge+blockwise:blockwise_weight=-1", "fade"),
    ],
)
def test_the_network_in_training_is_built_again_from_what_would_be_left(tmp_path, dataset, spec, way, rng):
    """Against the one that the way itself builds, its counters set by hand; what is refused today is read."""
    student = plain()
    points = {0: weights.weights_of(student)}
    points[2] = {path: 0.9 * value for path, value in points[0].items()}
    teacher, result = run_of(tmp_path, spec, student, points)
    group = inputs.group_of_run(tmp_path, result)
    networks = group.load()
    ((label, training),) = group.trainings(networks, dataset).items()
    assert (label, training.fades, list(training.snapshots)) == ("student fade", True, [0, 2])
    assert training.history == {"val_accuracy": [0.5] * EPOCHS, "gate": [0.5] * EPOCHS}

    begun = shortcut_removal.parse_spec(way).start(student, EPOCHS * STEPS, teacher)
    put(points[2], begun)
    for gate in fading.fading_shortcuts(begun):
        gate.step.assign(2 * STEPS)
    put(training.point(2), training.network)
    images = rng.normal(size=(4, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(training.network(images), begun(images), rtol=1e-5)


def test_the_gates_are_where_they_were(tmp_path, dataset):
    """By the formula: half a cosine from 1 to 0 over the first 9 of 12 steps."""
    student = plain()
    _, result = run_of(tmp_path, "fade:fade_end=0.75", student, {2: weights.weights_of(student)})
    group = inputs.group_of_run(tmp_path, result)
    (training,) = group.trainings(group.load(), dataset).values()
    for gate in fading.fading_shortcuts(training.network):
        gate.step.assign(training.point(2)[gate.step.path])
        assert float(gate.gate()) == pytest.approx((1 + math.cos(math.pi * 6 / 9)) / 2)


def test_other_networks_are_what_they_are_left_as(tmp_path, dataset):
    student = plain()
    points = {epochs: weights.weights_of(student) for epochs in (0, 2, 4)}
    _, result = run_of(tmp_path, "none", student, points, labels=("teacher", "student_alone"))
    del result["history"]["student_alone"]["gate"], result["shortcut_removal"]  # as in earlier versions
    group = inputs.group_of_run(tmp_path, result)
    networks = group.load()
    ((label, training),) = group.trainings(networks, dataset).items()
    assert (label, training.fades, training.network) == ("student alone", False, networks["student alone"])
    assert training.point(2).keys() == points[2].keys()


def test_networks_of_a_study_keep_no_snapshots(dataset):
    assert inputs.NetworkGroup("g", {}, 0).trainings({}, dataset) == {}


def test_a_result_that_does_not_say_how_shortcuts_went_is_told(tmp_path, dataset):
    student = plain()
    _, result = run_of(tmp_path, "fade", student, {2: weights.weights_of(student)})
    del result["shortcut_removal"]
    group = inputs.group_of_run(tmp_path, result)
    with pytest.raises(ValueError, match="result.json .*does not say what it should"):
        group.trainings(group.load(), dataset)
