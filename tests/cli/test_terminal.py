"""Results in words."""

import dataclasses
import json
import pathlib
import re

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
    assert "Whether accuracy drops without shortcuts is undecided" in printed
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


def cells(capsys):
    """The rows of the table that was printed, `{first cell: the others}`."""
    printed = capsys.readouterr().out.splitlines()
    rows = [re.split("[│┃]", line)[1:-1] for line in printed if line.startswith(("│", "┃"))]
    return {first.strip(): [text.strip() for text in others] for first, *others in rows}


def test_the_table_over_seeds_has_the_columns_of_one_seed_with_means(capsys):
    seeds = []
    for agreement in (0.5, 0.6, 0.9):
        taught = dataclasses.replace(row(0.505), agreement=agreement, seconds=2.0)
        alone = dataclasses.replace(row(0.5), agreement=None)
        networks = {"teacher": row(0.9), "student_alone": alone, "student_distilled": taught}
        seeds.append(comparison.Comparison({}, networks, effects(360, 200, 202), {}))
    terminal.print_comparison(seeds[0])
    one = cells(capsys)
    terminal.print_over_seeds(seeds)
    table = cells(capsys)
    assert set(table["network"]) == {*one["network"], "± sd"} - {"parameters"}
    of = {name: dict(zip(table["network"], others, strict=True)) for name, others in table.items()}
    assert of["student distilled"]["agreement"] == "66.7%"
    assert of["teacher"]["agreement"] == one["teacher"][one["network"].index("agreement")] == "100.0%"
    assert of["teacher"]["test accuracy"] == "90.0%"
    assert of["student alone"]["agreement"] == "n/a"
    assert of["student distilled"]["seconds"] == "2"


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
