"""The folder of a run: begun with fixed flags, used by one process at a time, finished once.

run = RunFolder("runs/digits", flags)
result = run.result()
if result is None:
    with run.claimed():
        ...
        run.finish(result)
"""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import socket
import time

from keras_kd.utils import files, identity

FLAGFILE = "flags.cfg"

RESULT = "result.json"

# The network of a run that trains one.
MODEL = "model.keras"

# Snapshots of each network on its way, in a folder of its label.
TRAJECTORY = "trajectory"

_LOCK = ".lock"

LOOK_AGAIN = 0.5  # seconds


class RunDir:
    """A folder that holds one run.

    Args:
      path: of the folder, which need not exist.
      flags: `{name: text}`: what the run is asked to do.
      changeable: names of flags that may be others when the run is taken up again.
      renamed: `{name: name now}` of flags that earlier versions wrote down; None for one that does not count.
      implied: `{name: other name}` of flags that earlier versions did not have: the other one's value was
        theirs.

    Raises:
      ValueError: if the path holds something else, or a run with other flags.
    """

    def __init__(self, path, flags, changeable=(), renamed=None, implied=None):
        self.path = pathlib.Path(path)
        self.flags = flags
        self._changeable = changeable
        self._renamed = renamed or {}
        self._implied = implied or {}
        if not self.path.name:
            raise ValueError(f"a run needs a folder of its own. Received: {str(path)!r}")
        if self.path.exists() and not self._is_run():
            raise ValueError(f"{self.path} exists and is no run: choose another folder")

    def _is_run(self):
        """Also one that was killed before its first file was whole."""
        if not self.path.is_dir():
            return False
        names = {entry.name for entry in self.path.iterdir()}
        return FLAGFILE in names or names <= {_LOCK, f".part-{FLAGFILE}"}

    @property
    def begun(self):
        """Whether an earlier process began this run."""
        return (self.path / FLAGFILE).is_file()

    def check_flags(self):
        """Raises a ValueError that names the flags with which the run was begun and is not now."""
        if not self.begun:
            return
        lines = (self.path / FLAGFILE).read_text(encoding="utf-8").splitlines()
        begun = dict(line.removeprefix("--").split("=", 1) for line in lines if "=" in line)
        begun = {self._renamed.get(name, name): value for name, value in begun.items()}
        begun.pop(None, None)
        earlier = {name: begun[source] for name, source in self._implied.items() if source in begun}
        begun = earlier | begun
        changes = [
            f"--{name} was {begun.get(name, 'not given')} and is {self.flags.get(name, 'not given')}"
            for name in sorted((begun.keys() | self.flags.keys()) - set(self._changeable))
            if begun.get(name) != self.flags.get(name)
        ]
        if changes:
            changes = f"{'; '.join(changes)}: give those to go on"
            raise identity.IdentityMismatchError(self.path, changes, "was begun with other flags")

    def result(self):
        """What a finished run measured, else None."""
        path = self.path / RESULT
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @contextlib.contextmanager
    def claimed(self, overwrite=False, patience=0.0):
        """Makes the folder this process's own, until it ends in whatever way.

        Args:
          overwrite: whether to delete what an earlier process left there.
          patience: seconds to wait for another process that has it.

        Raises:
          ValueError: if another process has it, if its flags are others, or if it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / _LOCK).open("a+", encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"cannot write to {error.filename} ({error.strerror}): choose another folder"
            ) from error
        with lock:
            self._take(lock, patience)
            if overwrite:
                self._empty()
            self.check_flags()
            if not self.begun or self._changeable:
                lines = [f"--{name}={value}\n" for name, value in sorted(self.flags.items())]
                files.write_text("".join(lines), self.path / FLAGFILE)
            yield

    def _take(self, lock, patience):
        """The system gives the lock back when the process ends, even when it is killed."""
        while not _locked(lock):
            if patience > 0:
                time.sleep(LOOK_AGAIN)
                patience -= LOOK_AGAIN
                continue
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            raise ValueError(f"{self.path} is in use by {owner}: wait for it, or choose another folder")
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()

    def _empty(self):
        """The result first and the flags last: what a kill leaves is an unfinished run."""
        order = {RESULT: 0, FLAGFILE: 2}
        for entry in sorted(self.path.iterdir(), key=lambda entry: order.get(entry.name, 1)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != _LOCK:
                entry.unlink()

    def finish(self, result):
        """Writes `result.json`, atomically and last: it says that the run is whole."""
        files.write_json(result, self.path / RESULT)


def _locked(file):
    """Takes the lock of a file; False if another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
