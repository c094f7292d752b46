"""Results in words."""

import dataclasses
import json
import pathlib

import numpy as np

from keras_kd.cli import terminal
from keras_kd.training import comparison
from tests.support import files

FILES = pathlib.Path(files.__path__[0])


def row(accuracy):
    return comparison.NetworkResult(accuracy=accuracy, loss=0.1, agreement=1.0, parameters=10, seconds=None)


def effects(twin, alone, taught, of=400):
    labels = ("teacher", "student_alone", "student_distilled")
    right = {label: np.arange(of) < count for label, count in zip(labels, (twin, alone, taught), strict=True)}
    return comparison.effects_of(right, "teacher")


def test_a_recovery_of_no_drop_is_not_defined(capsys):
    networks = {"teacher": row(0.51), "student_alone": row(0.5), "student_distilled": row(0.505)}
    terminal.print_comparison(comparison.Comparison({}, networks, effects(204, 200, 202), {}))
    printed = " ".join(capsys.readouterr().out.split())
    assert "No drop shows without shortcuts" in printed
    assert "0.50 │" not in printed  # no ratio
    assert "not defined" in printed
    assert printed.index("KD changed") < printed.index("On test")


def test_the_recovery_of_an_earlier_version_had_no_interval_and_is_not_shown(capsys):
    stored = json.loads((FILES / "run_before_rooms" / "result.json").read_text())
    read = comparison.Comparison.from_json(stored)
    effects_now = dataclasses.replace(read.effects, drop=0.01, recovery=0.7345)
    terminal.print_comparison(dataclasses.replace(read, effects=effects_now))
    printed = capsys.readouterr().out
    assert "0.73" not in printed
    assert "not defined" in printed


def test_notes_are_told_once_below_the_table(capsys):
    networks = {"teacher": row(0.51), "student_alone": row(0.5), "student_distilled": row(0.505)}
    notes = {"student_distilled": ("at_loss was 0 in the whole of epoch 1",)}
    terminal.print_comparison(comparison.Comparison({}, networks, effects(204, 200, 202), {}, notes=notes))
    assert capsys.readouterr().out.endswith(
        "\nnote: student distilled: at_loss was 0 in the whole of epoch 1\n"
    )


def test_numbers_come_back_from_json():
    networks = {"teacher": row(0.9), "student_alone": dataclasses.replace(row(0.5), agreement=None)}
    history, notes = {"teacher": {"loss": [0.5, 0.25]}}, {"student_alone": ("at_loss was 0",)}
    found = comparison.Comparison({}, networks, effects(360, 200, 280), history, notes=notes)
    values = json.loads(json.dumps(found.to_json()))
    assert list(values["networks"]["teacher"]) == ["accuracy", "loss", "agreement", "parameters", "seconds"]
    assert "agreement" not in values["networks"]["student_alone"]
    assert comparison.Comparison.from_json(values) == found
