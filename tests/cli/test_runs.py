"""What the commands know of a network by the run that its file lies in."""

import json
import types

import pytest

from keras_kd.cli import runs
from keras_kd.models import cifar_resnet, weights
from keras_kd.training import Settings
from tests.support.networks import mlp


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "3", "{}", '{"networks": []}', '{"networks": {"teacher": {}}}']
)
def test_a_network_in_a_folder_that_is_no_run_has_no_recorded_accuracy(text, tmp_path):
    (tmp_path / "notes.txt").write_text("other files lie here too")
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert runs.recorded_accuracy(str(tmp_path / "teacher.keras"), mlp()) is None


def test_the_accuracy_that_a_run_measured_of_these_weights_is_known(tmp_path):
    teacher, student = mlp(seed=1), mlp(seed=2)
    result = {
        "networks": {"teacher": {"accuracy": 0.75}, "student_distilled": {"accuracy": 0.5}},
        "fingerprints": {
            "teacher.keras": weights.fingerprint(teacher),
            "student.keras": weights.fingerprint(student),
        },
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert runs.recorded_accuracy(str(tmp_path / "teacher.keras"), teacher) == 0.75
    assert runs.recorded_accuracy(str(tmp_path / "student.keras"), student) == 0.5
    assert runs.recorded_accuracy(str(tmp_path / "student.keras"), teacher) is None
    assert runs.recorded_accuracy(str(tmp_path / "mine.keras"), teacher) is None
    assert runs.recorded_accuracy(None, teacher) is None


@pytest.mark.parametrize(
    ("jobs", "settings", "cores", "wanted"),
    [
        (0, {}, 2, 2),
        (0, {}, 1, 1),
        (0, {"strategy": "mirrored", "replicas": 2}, 2, 1),
        (0, {"batch_size": 100_000}, 2, 1),  # its convolutions keep two cores busy
        (1, {}, 2, 1),
        (2, {"batch_size": 100_000}, 1, 2),
    ],
)
def test_two_small_networks_are_trained_at_a_time(monkeypatch, jobs, settings, cores, wanted):
    monkeypatch.setattr(runs.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(runs.backend, "has_accelerator", lambda: False)
    student = cifar_resnet(8, (8, 8, 1), 10, width=4, shortcuts=False)
    values = types.SimpleNamespace(jobs=jobs)
    assert runs.networks_at_a_time(values, Settings(**settings), student) == wanted
