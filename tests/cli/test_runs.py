"""The run that flags name."""

import types

import pytest
from absl import flags as absl_flags

from keras_kd.cli import runs, study, train
from keras_kd.models import cifar_resnet
from keras_kd.training import Settings
from keras_kd.utils.identity import IdentityMismatchError
from tests.support.image_folders import write_folder


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


def opened(command, *arguments, **options):
    values = absl_flags.FlagValues()
    command.define_flags(values)
    values(["command", *arguments])
    return runs.open_run(values, "command", **options)


def test_images_of_tensorflow_datasets_stay_in_memory_or_stay_out_of_it(tmp_path):
    same = (train, f"--out={tmp_path / 'run'}", "--dataset=tf_flowers:64")
    with opened(*same, "--cache=disk").claimed():
        pass
    opened(*same, "--cache=none")
    opened(*same, "--cache=memory", "--overwrite")
    for other, given in (((), "not given"), (("--cache=memory",), "memory")):
        message = f"begun with other flags: --cache was disk and is {given}, .*: give --cache=disk to go on"
        with pytest.raises(IdentityMismatchError, match=message):
            opened(*same, *other)


def test_a_study_of_them_is_told_too(tmp_path):
    options = {"dataset": "cifar10", "only_given": True}
    with opened(study, f"--out={tmp_path}/run", **options).claimed():
        pass
    with pytest.raises(IdentityMismatchError, match="was not given and is none, .*: leave --cache out"):
        opened(study, f"--out={tmp_path}/run", "--cache=none", **options)


def test_other_images_may_be_kept_elsewhere(tmp_path):
    same = (train, f"--out={tmp_path / 'run'}", f"--dataset={write_folder(tmp_path / 'photos')}:8")
    with opened(*same, "--cache=disk").claimed():
        pass
    for other in ((), ("--cache=memory",), ("--cache=none",)):
        opened(*same, *other)
