"""Runs that would share a folder, and folders with too long a name, are told before any trains."""

import re

import pytest

from keras_kd.study import runner
from keras_kd.study.design import Run, Teacher
from tests.study.test_config import GOOD, read


def by_file(path):
    return Run(8, "plain + KD", 4, teacher=Teacher(Run(student=path, variant="network")))


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (
            [Run(8, "plain", 4, label_fraction=share) for share in (0.3333333, 0.33333334)],
            "two runs would share the folder 'p8w4-lf0.333333-s0', which does not tell "
            "label_fraction=0.3333333 from label_fraction=0.33333334: let them differ by more",
        ),
        (
            [by_file("a/b.keras"), by_file("a-b.keras")],
            "does not tell teachers apart, student='a/b.keras' from student='a-b.keras'",
        ),
        (
            [by_file(f"{'folder/' * 40}teacher.keras")],
            "the folder of a run would have a name of 312 bytes, and 230 are the most",
        ),
    ],
)
def test_runs_whose_folders_cannot_be_are_refused(runs, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        runner.Study(tmp_path, runs, {})


def test_they_are_refused_where_the_study_is_read(tmp_path):
    text = GOOD.replace("[residual, plain]}", "[residual, plain], label_fraction: [0.3333333, 0.33333334]}")
    with pytest.raises(ValueError, match=r"mine\.yaml:\d+: two runs would share the folder 'r14w8-lf0"):
        read(tmp_path, text)
