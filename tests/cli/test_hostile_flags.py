"""Every flag of every command with values that cannot be: one line that names it, before anything is read."""

import importlib
import re

import pytest
from absl import flags as absl_flags

from keras_kd.cli import main
from tests.support.commands import call

NO_NUMBERS = ("", "nan", "inf", "-inf", "-1", "1e300", "9" * 20, "\u00e9", "/tmp/x", "1,2", "None")


def flags_of(name):
    values = absl_flags.FlagValues()
    importlib.import_module(f"keras_kd.cli.{name}").define_flags(values)
    return {
        flag.name: type(flag.parser).__name__
        for group in values.flags_by_module_dict().values()
        for flag in group
    }


def refused(command, flag, value, cwd):
    status, output, errors = call(command, f"--{flag}={value}", cwd=cwd)
    assert (status, output) == (1, ""), (flag, value)
    assert errors.startswith("error: "), (flag, value, errors)
    assert errors.count("\n") == 1, (flag, value, errors)
    assert flag in errors, (flag, value, errors)
    assert len(errors) < 400


@pytest.mark.parametrize("command", main.COMMANDS)
def test_what_is_no_number_of_a_flag_is_refused_by_name(command, tmp_path):
    numbers = [flag for flag, kind in flags_of(command).items() if kind in ("IntegerParser", "FloatParser")]
    assert numbers or command == "demo"
    for flag in numbers:
        for value in NO_NUMBERS:
            refused(command, flag, value, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", main.COMMANDS)
def test_empty_text_and_lists_that_repeat_are_refused_by_name(command, tmp_path):
    for flag, kind in flags_of(command).items():
        if kind == "ListParser":
            for value in ("", "a,a", "a,,b"):
                refused(command, flag, value, tmp_path)
        elif kind in ("ArgumentParser", "EnumParser"):
            for value in ("", " ", "a\0b"):
                refused(command, flag, value, tmp_path)


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("train", ["--student_width=90000"], "--student_depth=20 --student_width=90000: .* parameters"),
        ("train", ["--student_depth=2006"], "student_depth must be a whole number from 1 to 2000"),
        ("distill", ["--teacher_depth=1802", "--teacher_width=2000"], "--teacher_depth=1802 .* parameters"),
        ("distill", ["--student_depth=21"], "--student_depth=21 .* depth must be 6n"),
        ("search", ["--alpha_low=0.9", "--alpha_high=0.1"], "the bounds of alpha are reversed"),
        ("study", ["--schedule=step", "--warmup_fraction=0.9"], "warmup_fraction=0.9"),
        ("export", ["--batches=1,0"], "batches"),
        ("export", ["--batches=\u00b2"], "batches"),
    ],
)
def test_values_that_do_not_go_together_are_refused_at_once(command, arguments, message, tmp_path):
    status, _, errors = call(command, *arguments, cwd=tmp_path)
    assert status == 1
    assert re.search(message, errors), errors
    assert errors.count("\n") == 1
