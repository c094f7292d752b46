"""The run that flags name."""

import types

import pytest

from keras_kd.cli import runs
from keras_kd.models import cifar_resnet
from keras_kd.training import Settings


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
