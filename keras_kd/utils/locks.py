"""One process at a time: a lock on a file, which the system takes back when its owner ends, even by a kill.

with locks.held(folder / ".lock"):
    ...

On file systems without locks of their own (some network folders) a file that names its owner stands in: it
holds among processes of one machine, and after a crash of the machine it has to be deleted by hand.
"""

import contextlib
import math
import os
import pathlib
import socket

import filelock

LOOK_AGAIN = 0.5  # seconds


class InUseError(ValueError):
    """Another process has what is asked for."""


@contextlib.contextmanager
def held(path, what=None, *, patience=0.0, tidy=False):
    """Holds a lock until the block ends.

    Args:
      path: of the lock file; its folder is made.
      what: is locked, for the message; the folder of the file if None.
      patience: seconds to wait for another process that has it; `math.inf`: as long as it takes.
      tidy: whether the file is deleted afterwards.

    Raises:
      InUseError: if another process has it.
      ValueError: if the file cannot be made, or its file system has no locks.
    """
    path = pathlib.Path(path)
    what, owner = what or path.parent, path.with_name(f"{path.name}.owner")
    lock = filelock.FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=-1 if patience == math.inf else patience, poll_interval=LOOK_AGAIN)
    except filelock.Timeout as error:
        raise InUseError(
            f"{what} is in use by {_read(owner)}: wait for it, or choose another folder"
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        place = getattr(error, "filename", None) or what
        raise ValueError(f"cannot write to {place} ({reason}): choose another folder") from error
    try:
        with contextlib.suppress(OSError):  # it is only for the message
            owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()
        if tidy:
            with contextlib.suppress(OSError):
                path.unlink()  # before it is released: who waits for it looks whether it is still there
        lock.release()


def _read(owner):
    try:
        return owner.read_text(encoding="utf-8").strip() or "another process"
    except (OSError, ValueError):
        return "another process"
