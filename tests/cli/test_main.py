"""The command line as a whole: help, mistyped names, many commands in one process, no waiting."""

import os

import pytest
from absl import flags as absl_flags

from keras_kd.cli import flags, main
from keras_kd.training import config
from tests.support.processes import run_python


def test_help_lists_the_commands(capsys):
    assert main.call_line([]) == 0
    assert main.call_line(["--help"]) == 0
    output = capsys.readouterr().out
    for name in main.COMMANDS:
        assert f"  {name} " in output
    assert len(output.splitlines()) <= 50  # twice


@pytest.mark.parametrize(
    ("machine", "given", "expected"),
    [("x86_64", None, "1"), ("AMD64", None, "1"), ("x86_64", "0", "0"), ("arm64", None, None)],
)
def test_commands_switch_onednn_on_where_nobody_said(machine, given, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given or "")  # so that it is as before at the end
    if given is None:
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert main.call_line(["train", f"--dataset={tmp_path / 'missing.npz'}"]) == 1
    assert os.environ.get("TF_ENABLE_ONEDNN_OPTS") == expected


@pytest.mark.parametrize("name", ["distill", "train"])
@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort", "--helpfull"])
def test_help_of_a_command_lists_its_flags_and_no_others(name, flag, capsys):
    assert main.call_line([name, flag]) == 0
    output = capsys.readouterr().out
    for known in ("--dataset=", "--epochs=", "--seed=", "--out=", "--student_depth=", "--[no]debug"):
        assert output.count(known) == 1
    assert output.index("--dataset=") < output.index("--epochs=") < output.index("--momentum=")
    for foreign in ("alsologtostderr", "verbosity", "pdb", "run_with_profiling"):
        assert foreign not in output
    assert max(map(len, output.splitlines())) <= 120


def test_mistyped_commands_are_answered(capsys):
    assert main.call_line(["distil", "--epochs=3"]) == 1
    assert main.call_line(["zip"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: unknown command 'distil': did you mean 'distill'?"
    assert lines[1].startswith("error: unknown command 'zip': there are demo, distill, train")


@pytest.mark.parametrize(
    "arguments", [["distill", "--epoch=3"], ["distill", "--help"], ["trian"], ["--help"]]
)
def test_what_needs_no_network_imports_none(arguments):
    script = f"""
import sys
from keras_kd.cli import main
status = main.call_line({arguments!r})
assert not {{"keras", "tensorflow", "jax"}} & set(sys.modules), "imported"
sys.exit(status)
"""
    status, output, errors = run_python("-c", script)
    assert status == ("--help" not in arguments), errors
    assert len((errors or output).splitlines()) >= 1
    assert "Traceback" not in errors


def test_the_modules_of_scripts_are_the_commands(tmp_path):
    for name in ("distill", "train"):
        status, output, errors = run_python("-m", f"experiments.{name}", "--help", cwd=tmp_path)
        assert status == 0, errors
        assert output.startswith(f"keras-kd {name} --flag=value")


def test_there_is_a_flag_for_each_setting():
    values = absl_flags.FlagValues()
    flags.define_settings(values)
    values(["a"])
    assert flags.settings_of(values) == config.Settings()
    values(["a", "--epochs=3", "--nodeterministic", "--clip_norm=1"])
    assert flags.settings_of(values) == config.Settings(epochs=3, clip_norm=1.0)
    assert flags.as_text(values, only_given=True) == {
        "epochs": "3",
        "deterministic": "False",
        "clip_norm": "1.0",
    }


@pytest.mark.parametrize("content", [bytes(range(256)), b"\xff\xfe--epochs=3", b"\x00\x01"])
def test_a_flagfile_that_is_no_text_is_named(tmp_path, capsys, content):
    (tmp_path / "flags.bin").write_bytes(content)
    assert main.call("train", [f"--flagfile={tmp_path / 'flags.bin'}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "--flagfile is empty: give it a path, or leave the flag out"),
        (" ", "--flagfile is empty"),
        ("folder", "--flagfile=folder names no text file with one flag a line (Unable to open"),
        ("missing.cfg", "--flagfile=missing.cfg names no text file"),
        ("/proc/self/mem", "--flagfile=/proc/self/mem names no text file"),
    ],
)
def test_a_flagfile_that_cannot_be_read_is_named(tmp_path, monkeypatch, capsys, value, message):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main.call("train", [f"--flagfile={value}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


@pytest.mark.parametrize("flag", ["out", "dataset", "data_dir"])
def test_a_name_that_no_line_can_hold_is_refused(capsys, flag):
    assert main.call("train", [f"--{flag}=a\nb"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--{flag} has a line break or control character in it" in line


def test_an_unknown_backend_is_named(tmp_path):
    status, _, errors = run_python("-m", "keras_kd.cli.main", "train", cwd=tmp_path, KERAS_BACKEND="foo")
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("error: Keras cannot be imported with KERAS_BACKEND=foo")
