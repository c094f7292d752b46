"""Results in words."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

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


def test_intervals_stand_beside_what_was_measured():
    words = terminal.intervals_sentence(effects(360, 200, 280))
    assert words.startswith("drop +40.0 (+35.")
    assert "gain +20.0 (" in words
    assert "recovery 0.50 (0.4" in words
    assert "over 400 test images" in words


def test_a_sentence_says_what_the_table_means():
    networks = {"teacher": row(0.9), "student_alone": row(0.5), "student_distilled": row(0.6)}
    networks |= {"student_fade": row(0.88)}
    told = comparison.Comparison({}, networks, effects(360, 200, 240), {}, effects(360, 200, 352))
    assert terminal.meaning(told).startswith(
        "In short: without shortcuts the student loses 40.0 points on its residual twin; the student fade "
        "ends 2.0 points below the twin, with 88.0% (on 400 test images, one seed;"
    )
    above = dataclasses.replace(told, removal_effects=effects(360, 200, 364))
    assert "ends 1.0 points above the twin" in terminal.meaning(above)
    none = dataclasses.replace(told, removal_effects=None, effects=effects(202, 200, 240))
    assert "no drop shows" in terminal.meaning(none)


def test_a_recovery_of_no_drop_is_not_defined(capsys):
    networks = {"teacher": row(0.51), "student_alone": row(0.5), "student_distilled": row(0.505)}
    terminal.print_comparison(comparison.Comparison({}, networks, effects(204, 200, 202), {}))
    printed = " ".join(capsys.readouterr().out.split())
    assert "recovery not defined, as the drop's interval does not lie above 0" in printed
    assert "0.50 │" not in printed  # no ratio
    assert "not defined" in printed


def test_the_recovery_of_an_earlier_version_had_no_interval_and_is_not_shown(capsys):
    stored = json.loads((FILES / "run_before_rooms" / "result.json").read_text())
    read = comparison.Comparison.from_json(stored)
    effects_now = dataclasses.replace(read.effects, drop=0.01, recovery=0.7345)
    terminal.print_comparison(dataclasses.replace(read, effects=effects_now))
    printed = capsys.readouterr().out
    assert "0.73" not in printed
    assert "not defined" in printed


@pytest.mark.parametrize("name", ["drop", "recovery"])
def test_without_the_twin_neither_is_told(name):
    none = dict.fromkeys(("drop", "drop_interval", "recovery", "recovery_interval"))
    found = dataclasses.replace(effects(360, 200, 280), **none)
    assert name not in terminal.intervals_sentence(found)


def test_numbers_come_back_from_json():
    networks = {"teacher": row(0.9), "student_alone": dataclasses.replace(row(0.5), agreement=None)}
    found = comparison.Comparison({}, networks, effects(360, 200, 280), {"teacher": {"loss": [0.5, 0.25]}})
    values = json.loads(json.dumps(found.to_json()))
    assert list(values["networks"]["teacher"]) == ["accuracy", "loss", "agreement", "parameters", "seconds"]
    assert "agreement" not in values["networks"]["student_alone"]
    assert comparison.Comparison.from_json(values) == found
