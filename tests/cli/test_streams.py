import io
import json
import sys

import pytest

from keras_kd.cli import streams
from tests.support.processes import ROOT, run_python


class Gone(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_what_cannot_be_shown_is_dropped_and_told_once(monkeypatch):
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stdout", Gone())
    monkeypatch.setattr(sys, "stderr", errors)
    with streams.lasting():
        for _ in range(3):
            print("lost", flush=True)
        print("seen", file=sys.stderr)
    told, seen = errors.getvalue().splitlines()
    assert "Broken pipe" in told
    assert told.endswith("the work goes on")
    assert seen == "seen"
    assert isinstance(sys.stdout, Gone)


@pytest.mark.parametrize("gone", ["stdout", "stderr", "both"])
def test_streams_that_were_never_there(monkeypatch, gone):
    for name in ("stdout", "stderr"):
        if gone in (name, "both"):
            monkeypatch.setattr(sys, name, None)
    with streams.lasting():
        print("lost")
        print("lost", file=sys.stderr, flush=True)
        assert not (sys.stdout.isatty() and gone != "stderr")


@pytest.mark.parametrize("how", ["closed", "full"])
def test_a_command_without_stdout_does_its_work(tmp_path, how):
    """Of the whole process: Python's own last flush must not fail either."""
    script = f"""
import json, os, subprocess, sys
out = {{"closed": None, "full": open("/dev/full", "w")}}[{how!r}]
command = [sys.executable, "-m", "keras_kd.cli.main", "--help"]
line = [sys.executable, "-c", "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])", *command]
done = subprocess.run(command if out else line, stdout=out, stderr=subprocess.PIPE, text=True)
print(json.dumps([done.returncode, done.stderr]))
"""
    status, output, errors = run_python("-c", script, cwd=ROOT)
    assert status == 0, errors
    returned, told = json.loads(output)
    assert returned == 0
    assert "Traceback" not in told
    assert ("the work goes on" in told) == (how == "full")
