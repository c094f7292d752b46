"""What every script does on the screen: errors in one line, exit statuses, tables."""

import errno
import functools
import os
import sys
import warnings
from logging import ERROR, getLogger

from absl import app, flags, logging
from rich.console import Console
from rich.table import Table

from keras_kd.training import callbacks
from keras_kd.training.distributed import strategy, watchdog
from keras_kd.utils import backend, optional
from keras_kd.utils.identity import IdentityMismatchError

DEBUG = flags.DEFINE_bool("debug", False, "Whether an error shows its traceback.")


def flags_of_script(only_given=False):
    """`{name: text}` of the flags that make up a run; its folder and how it is started are not among them.

    Args:
      only_given: whether flags that were not given are left out.
    """
    by_module = flags.FLAGS.flags_by_module_dict()
    ours = [
        flag
        for module, group in by_module.items()
        if module.startswith("experiments.") or module == sys.argv[0]  # absl's name for __main__
        for flag in group
    ]
    not_of_the_run = ("out", "overwrite", "debug")
    return {
        flag.name: ",".join(flag.value) if isinstance(flag.value, list) else str(flag.value)
        for flag in ours
        if flag.name not in not_of_the_run and flag.value is not None and (flag.present or not only_given)
    }


def percent(share):
    """A share for a table; "n/a" for None."""
    return "n/a" if share is None else f"{share:.1%}"


def print_table(title, rows, columns):
    """Prints rows of `{column: text}` as a table."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def print_paths(**paths):
    """Prints where things were written."""
    width = max(map(len, paths))
    for name, path in paths.items():
        print(f"{name:<{width}}  {path}")


STOP = callbacks.StopOnSignal()

_FORESEEN = (ValueError, OSError, optional.MissingPackageError, callbacks.TrainingDivergedError)


def run(main):
    """Runs a script's `main` under absl, with its flags parsed; warnings take one line each."""
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    app.run(functools.partial(guarded, main))


def guarded(main, argv):
    """Calls `main`; what goes wrong ends in one line, not in a traceback.

    The exit status is 1, or `watchdog.EXIT_RESUME` where the same command goes on from what is saved.
    """
    logging.set_verbosity(logging.WARNING)
    getLogger("tensorflow").setLevel(ERROR)  # it warns of many graphs: each network has its own
    try:
        if len(argv) > 1:
            raise ValueError(f"flags begin with --. Received: {' '.join(argv[1:])}")
        with STOP:
            main()
        strategy.leave()
        status = 0
    except callbacks.TrainingInterruptedError as error:
        print(f"{error}: {watchdog.HOW_TO_RESUME}", file=sys.stderr)
        status = watchdog.EXIT_RESUME
    except KeyboardInterrupt:
        print(f"stopped by Ctrl-C: {watchdog.HOW_TO_RESUME}", file=sys.stderr)
        status = watchdog.EXIT_RESUME
    except (*_FORESEEN, *_backend_errors()) as error:
        if DEBUG.value:
            raise
        print(f"error: {_one_line(error)}", file=sys.stderr)
        status = 1
    if status or strategy.has_other_hosts():
        _exit(status)


def _backend_errors():
    """What TensorFlow raises for a full disk or memory."""
    if not backend.on_tensorflow():
        return ()
    import tensorflow as tf

    return (tf.errors.ResourceExhaustedError,)


def _exit(status):
    """On several hosts at once: TensorFlow's own end may wait for hosts that have left."""
    if not strategy.has_other_hosts():
        sys.exit(status)
    if status == 1:
        strategy.leave(failed=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _one_line(error):
    line = " ".join(str(error).split())
    if isinstance(error, IdentityMismatchError):
        return f"{line}: choose another --out, or pass --overwrite to start anew"
    if os.strerror(errno.ENOSPC) in line:  # TensorFlow's errors have no number
        return (
            f"the disk is full ({line}): free some space and give the same command again, which goes "
            f"on from the last epoch that was saved"
        )
    return line
