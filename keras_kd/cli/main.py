"""Command lines: `keras-kd NAME --flag=value`, the same as `python -m experiments.NAME --flag=value`."""

import contextvars
import difflib
import functools
import importlib
import os
import platform
import shlex
import sys

from absl import flags

from keras_kd.cli import help as helping
from keras_kd.cli import streams
from keras_kd.cli.flags import RENAMED, Group, check_lists
from keras_kd.utils import checks

_TYPED = contextvars.ContextVar("typed")

COMMANDS = ("demo", "distill", "train", "export", "cost", "predict", "search", "study", "landscape", "reuse")


def main():
    """The console command."""
    sys.exit(call_line(sys.argv[1:]))


def run(name):
    """One command with the flags that this process was given; ends the process."""
    sys.exit(call(name, sys.argv[1:]))


def call_line(arguments):
    """What `keras-kd ARGUMENTS` does; returns the exit status."""
    with streams.lasting():
        return _call_line(arguments)


def _call_line(arguments):
    if not arguments or arguments[0] in helping.FLAGS:
        print(helping.of_all(COMMANDS))
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        return _refuse(f"unknown command {name!r}: {advice}")
    return call(name, rest)


def call(name, arguments):
    """Runs a command.

    Args:
      name: one of `COMMANDS`.
      arguments: texts such as "--epochs=3".

    Returns:
      The exit status: 0; 1 after an error, told in one line; 75 where the same command goes on later.
    """
    return call_command(importlib.import_module(f"keras_kd.cli.{name}"), f"keras-kd {name}", arguments)


def call_command(command, name, arguments):
    """The same of any module with `define_flags(values)`, `main(values)` and maybe `check(values)`.

    One with `ARGUMENTS`, words for what it takes beside flags, has `check_arguments(arguments)`, and
    `main(values, arguments)` gets them.

    Args:
      command: the module.
      name: what is typed to start it.
      arguments: as for `call`.
    """
    with streams.lasting():
        return _call_command(command, name, arguments)


def _call_command(command, name, arguments):
    values = flags.FlagValues()
    command.define_flags(values)
    Group(values, "run").switch("debug", False, "Show an error's traceback.")
    if any(argument in helping.FLAGS for argument in arguments):
        print(helping.of_command(command, name, values))
        return 0
    if any(not each.partition("=")[2].strip() for each in _flagfiles(arguments) if "=" in each):
        return _refuse("--flagfile is empty: give it a path, or leave the flag out")
    takes = getattr(command, "ARGUMENTS", "")
    values.set_gnu_getopt(bool(takes))  # flags may stand behind what is no flag
    try:
        positional = values([name, *arguments])[1:]
    except (UnicodeDecodeError, OSError, flags.CantOpenFlagFileError) as error:
        given = " ".join(_flagfiles(arguments))
        return _refuse(f"{given} names no text file with one flag a line ({_reason(error)})")
    except (flags.Error, ValueError) as error:
        return _refuse(_unknown(error, values) if isinstance(error, flags.UnrecognizedFlagError) else error)
    if positional and not takes:
        return _refuse(f"flags begin with --. Received: {' '.join(positional)}")
    main_of = functools.partial(command.main, arguments=positional) if takes else command.main
    try:
        _check_texts(values)
        check_lists(values)
        getattr(command, "check", lambda values: None)(values)
        if takes:
            command.check_arguments(positional)
    except ValueError as error:
        return _refuse(error)
    _take_onednn()
    try:
        from keras_kd.cli import console  # only now: it imports Keras
    except (ImportError, ValueError) as error:
        backend = os.environ.get("KERAS_BACKEND")
        return _refuse(
            f"Keras cannot be imported with KERAS_BACKEND={backend} ({error}): tensorflow and jax are known"
        )

    typed = _TYPED.set(shlex.join([*name.split(), *arguments]))
    try:
        return console.guarded(main_of, values)
    finally:
        _TYPED.reset(typed)


def _take_onednn():
    """Lets TensorFlow compute by oneDNN, unless somebody said: without AVX-512 it is off by itself."""
    if platform.machine() in ("x86_64", "AMD64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _flagfiles(arguments):
    """Those of the arguments that name a file of flags."""
    return [each for each in arguments if each.lstrip("-").partition("=")[0] == "flagfile"]


def _reason(error):
    """What an error says, without absl's own "ERROR::"."""
    return str(error).removeprefix("ERROR:: ")


def _check_texts(values):
    """Raises a ValueError for a name or path with a line break in it: no file of flags could hold it."""
    for name in values:
        value = values[name].value
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                checks.check_line(text, f"--{name}")


def command_line():
    """What was typed to start the command that runs, for pages and results."""
    return _TYPED.get()


def _unknown(error, values):
    name = error.flagname
    if RENAMED.get(name) in values:
        return f"--{name} is called --{RENAMED[name]} now"
    known = [
        flag for group in values.flags_by_module_dict().values() for flag in (each.name for each in group)
    ]
    near = difflib.get_close_matches(name.removeprefix("no"), known, 1)
    advice = f"did you mean --{near[0]}?" if near else "--help lists all flags"
    return f"unknown flag --{name}: {advice}"


def _refuse(error):
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
