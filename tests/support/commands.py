"""Commands called in this process."""

import contextlib
import io

from keras_kd.cli import main


def call(name, *arguments, cwd):
    """Runs a command in a folder; returns (exit status, stdout, stderr)."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        status = main.call(name, [str(argument) for argument in arguments])
    return status, output.getvalue(), errors.getvalue()
