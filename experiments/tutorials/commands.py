"""What the tutorials have in common: they type commands of `keras-kd`, and are started as such."""

import sys

from keras_kd.cli import main as command_line


def type_command(name, *arguments):
    """Prints `$ keras-kd NAME ARGUMENTS` and does it.

    Raises:
      ValueError: if the command fails.
    """
    print(f"\n$ keras-kd {name} {' '.join(arguments)}", flush=True)
    if command_line.call(name, arguments):
        raise ValueError(f"keras-kd {name} failed: see above")


def start(name):
    """Runs the tutorial that was started as `python -m experiments.tutorials.NAME`; ends the process."""
    tutorial = sys.modules["__main__"]
    sys.exit(command_line.call_command(tutorial, f"python -m experiments.tutorials.{name}", sys.argv[1:]))
