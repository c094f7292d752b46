"""Python and the scripts in processes of their own."""

import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def run_python(*arguments, cwd=ROOT, timeout=600, **environment):
    """Runs Python in a process of its own; returns (exit status, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def error_line(stderr):
    """The one line a script ends in."""
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, stderr
    assert not re.search("Traceback", stderr), stderr
    return lines[0]


def refusals(name, cases, cwd):
    """The line in which a script ends for each of some lists of flags, all of which it must refuse."""
    status, _, errors = run_python("-c", _ASK_EACH, name, json.dumps(cases), cwd=cwd)
    assert status == 0, errors[-3000:]
    answers = re.split(r"^status: 1$", errors, flags=re.M)[:-1]
    assert len(answers) == len(cases), errors[-3000:]
    return [error_line(answer) for answer in answers]


_ASK_EACH = """
import importlib, json, sys
from absl import flags
from absl.testing import flagsaver
from experiments import console

name, cases = sys.argv[1], json.loads(sys.argv[2])
script = importlib.import_module(f"experiments.{name}")
for case in cases:
    with flagsaver.flagsaver():
        flags.FLAGS([name, *case])
        try:
            console.guarded(script.main, [name])
        except SystemExit as ended:
            print(f"status: {ended.code}", file=sys.stderr)
"""
