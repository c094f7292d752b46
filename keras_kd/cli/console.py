"""What every command does on the screen: errors in one line, exit statuses, tables."""

import errno
import functools
import os
import shlex
import sys
import warnings
from logging import ERROR, getLogger

import keras
from absl import logging
from rich.console import Console
from rich.table import Table

from keras_kd.data.lazy_images import BadImageError
from keras_kd.models.rebuilding import UnequalNetworksError
from keras_kd.training import callbacks
from keras_kd.training.distributed import strategy, watchdog
from keras_kd.utils import backend, optional
from keras_kd.utils.identity import IdentityMismatchError, NothingLeftError

_FORESEEN = (
    ValueError,
    OSError,
    optional.MissingPackageError,
    callbacks.TrainingDivergedError,
    UnequalNetworksError,
)


@functools.cache
def stop_signal():
    """The callback that ends a training at SIGTERM, of this process."""
    return callbacks.StopOnSignal()


def guarded(main, values):
    """Calls a command's `main(values)`; what goes wrong ends in one line, not in a traceback.

    Args:
      main: of a command.
      values: its `absl.flags.FlagValues`, parsed.

    Returns:
      The exit status: 0, 1, or `watchdog.EXIT_RESUME` where the same command goes on from what is saved.
    """
    logging.set_verbosity(logging.WARNING)
    getLogger("tensorflow").setLevel(ERROR)  # it warns of many graphs: each network has its own
    shown, warnings.showwarning = warnings.showwarning, _show_warning
    try:
        status = _status(main, values)
    finally:
        warnings.showwarning = shown
    if strategy.has_other_hosts():
        _end_on_several_hosts(status)
    return status


def _status(main, values):
    try:
        backend.check_backend()
        backend.check_configuration()
        with stop_signal():
            main(values)
        strategy.leave()
    except callbacks.TrainingInterruptedError as error:
        return _tell(f"{error}: {watchdog.HOW_TO_RESUME}", watchdog.EXIT_RESUME)
    except KeyboardInterrupt:
        return _tell(f"stopped by Ctrl-C: {watchdog.HOW_TO_RESUME}", watchdog.EXIT_RESUME)
    except MemoryError as error:
        if values.debug:
            raise
        return _tell(f"error: out of memory, take smaller batches, images or networks: {_one_line(error)}", 1)
    except (*_FORESEEN, *_backend_errors()) as error:
        if values.debug or _is_fault(error):
            raise
        return _tell(f"error: {_one_line(error)}{_advice(error, values)}", 1)
    return 0


def _tell(line, status):
    print(line, file=sys.stderr)
    return status


def _show_warning(message, *_):
    print(f"warning: {message}", file=sys.stderr)


def _backend_errors():
    """What the backend raises for a full disk or memory."""
    if backend.on_tensorflow():
        import tensorflow as tf

        return (tf.errors.ResourceExhaustedError,)
    if keras.backend.backend() == "jax":
        import jax

        return (jax.errors.JaxRuntimeError,)
    return ()


def _is_fault(error):
    """Whether JAX, which has one class for errors of its runtime, says something else than full memory."""
    is_foreseen = backend.on_tensorflow() or isinstance(error, _FORESEEN)
    return not is_foreseen and "RESOURCE_EXHAUSTED" not in str(error)


def _end_on_several_hosts(status):
    """At once: TensorFlow's own end may wait for hosts that have left."""
    if status == 1:
        strategy.leave(failed=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _one_line(error):
    line = " ".join(str(error).split())
    if os.strerror(errno.ENOSPC) in line:  # TensorFlow's errors have no number
        return (
            f"the disk is full ({line}): free some space and give the same command again, which goes "
            f"on from the last epoch that was saved"
        )
    return line


def _advice(error, values):
    """What the command's own flags can do about an error, as the end of its line."""
    if isinstance(error, IdentityMismatchError):
        return ", choose another --out, or pass --overwrite to start anew"
    if isinstance(error, NothingLeftError):
        return " with --overwrite, or choose another --out"
    if not isinstance(error, BadImageError):
        return ""
    if "skip_bad_images" not in values:
        return "; of a finished run's images, put back the one that it was trained on"
    if values.skip_bad_images:
        return ""
    return "; or give the same command with --skip_bad_images, which goes on without it"


def percent(share):
    """A share for a table; "n/a" for None."""
    return "n/a" if share is None else f"{share:.1%}"


def print_table(title, rows, columns):
    """Prints rows of `{column: text}` as a table."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right", overflow="fold")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    # A name may hold brackets, or colons: "[plain-20 taught by plain-20]" is no style.
    Console(width=None if sys.stdout.isatty() else 110, markup=False, emoji=False).print(table)


def print_notes(noted):
    """Prints what is likely wrong in trainings, as `notes.grouped` returns it."""
    for name, sentence in noted:
        print(f"note: {name}: {sentence}")


def print_paths(**paths):
    """Prints where things were written."""
    width = max(map(len, paths))
    for name, path in paths.items():
        print(f"{name:<{width}}  {path}")


def print_next_export(path, **data):
    """Prints how a network is exported.

    Args:
      path: of its .keras file. One that no run of distill or train measured is exported with images.
      **data: flags that say where a run's images are.
    """
    from keras_kd.export import sources

    print_next("export", model=path, **(data if sources.belongs_to_run(path) else {"images": "FOLDER"}))


def print_next(command, *switches, **options):
    """Prints the command that makes the most of what was written; arguments as for `command_of`."""
    print(f"next: {command_of(command, *switches, **options)}")


def command_of(command, *switches, arguments=(), **flags):
    """A command as it is typed, quoted where a shell asks for it.

    Args:
      command: its name.
      *switches: names of flags without a value.
      arguments: what it takes beside flags, as text.
      **flags: `{name: value}`; those that are None are left out.
    """
    given = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    words = ["keras-kd", command, *map(str, arguments), *given, *(f"--{name}" for name in switches)]
    return shlex.join(words)
