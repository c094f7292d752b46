"""A student that lost its shortcuts in training, beside its twin."""

import collections

import pytest

from keras_kd.export import sources, twins
from keras_kd.models import serialization, weights
from tests.support.networks import left_of, resnet8, shaken

Pictures = collections.namedtuple("Pictures", ["image_shape", "num_classes"])


@pytest.mark.parametrize("way", ["fade", "merge", "layerwise"])
@pytest.mark.parametrize(
    ("teacher", "labels"),
    [(8, {"{}": 0.5, "teacher (residual twin)": 0.75}), (None, {"{}": 0.5, "residual twin": None})],
)
def test_a_student_that_lost_its_shortcuts_has_its_residual_twin(way, teacher, labels, tmp_path):
    name = f"student_{way}"
    student = left_of(way) if way != "layerwise" else shaken(resnet8(shortcuts=False))
    networks = {name: student, "teacher": shaken(resnet8())} if teacher else {name: student}
    for label, network in networks.items():
        serialization.save_model(network, tmp_path / f"{label}.keras")
    result = {
        "networks": {name: {"accuracy": 0.5}, "teacher": {"accuracy": 0.75}},
        "fingerprints": {f"{label}.keras": weights.fingerprint(each) for label, each in networks.items()},
    }
    path = tmp_path / f"{name}.keras"
    source = sources.Source(path, name, serialization.load_model(path), Pictures((8, 8, 3), 4), result)
    found = {label: each.accuracy for label, each in twins.with_twin(source).items()}
    assert found == {label.format(name): accuracy for label, accuracy in labels.items()}
