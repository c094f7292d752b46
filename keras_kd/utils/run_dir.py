"""The folder of a run: begun with fixed flags, used by one process at a time, finished once.

run = RunDir("runs/digits", flags)
result = run.result()
if result is None:
    with run.claimed():
        ...
        run.finish(result)
"""

import contextlib
import pathlib

from keras_kd.utils import checks, files, folders, identity, locks, progress

FLAGFILE = "flags.cfg"

RESULT = "result.json"

# The network of a run that trains one.
MODEL = "model.keras"

# Snapshots of each network on its way, in a folder of its label.
TRAJECTORY = "trajectory"

_LOCK = ".lock"

_OWN = (_LOCK, f"{_LOCK}.owner")

# Where an overwritten run waits for the new one to be whole; the second while it is moved there.
_OVERWRITTEN, _MOVING = "overwritten-", ".overwritten"

_EVENTS = "events.out.tfevents."

_MADE_BY = "# keras-kd "  # first line of the flags, before the command's name


def first_seed(folder, result):
    """The folder of the first seed of a distillation over seeds, from its folder and result."""
    return pathlib.Path(folder) / f"seed-{result['seeds'][0]}"


def check_one_seed(folder, result):
    """Raises a ValueError for the result of a distillation over seeds: each has a folder of its own."""
    if "comparisons" in result:
        raise ValueError(
            f"{folder} is a distillation over seeds: give one of its seeds, such as "
            f"{first_seed(folder, result)}"
        )


def read_flags(folder):
    """`(command, {name: text})`: what was written down when a run was begun; nothing where no run was.

    Raises:
      DamagedFileError: if it is no text.
    """
    path = pathlib.Path(folder) / FLAGFILE
    if not path.is_file():
        return None, {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except ValueError as error:
        raise files.DamagedFileError(path, "it is no text") from error
    made_by = lines[0].removeprefix(_MADE_BY) if lines[0].startswith(_MADE_BY) else None
    return made_by, dict(line.removeprefix("--").split("=", 1) for line in lines if "=" in line)


class RunDir:
    """A folder that holds one run.

    Args:
      path: of the folder, which need not exist.
      flags: `{name: text}`: what the run is asked to do.
      changeable: names of flags that may be others when the run is taken up again.
      renamed: `{name: name now}` of flags that earlier versions wrote down; None for one that does not count.
      implied: `{name: other name}` of flags that earlier versions did not have: the other one's value was
        theirs.
      command: whose run it is; None of those that are part of another one.
      same: names of flags that a run must share with the one it overwrites.
      defaults: `{name: text}` of flags that are written down only where they were given.

    Raises:
      ValueError: if the path holds something else, or a flag has a line break or the like.
    """

    def __init__(
        self,
        path,
        flags,
        changeable=(),
        renamed=None,
        implied=None,
        command=None,
        same=(),
        defaults=None,
    ):
        self.path = pathlib.Path(path)
        self.flags = flags
        self._changeable = changeable
        self._renamed = renamed or {}
        self._implied = implied or {}
        self._defaults = defaults or {}
        self._command = command
        self._same = same
        for name, value in flags.items():
            checks.check_line(value, f"flag {name!r}")
        if not self.path.name:
            raise ValueError(f"a run needs a folder of its own. Received: {str(path)!r}")
        if self.path.exists() and not self._is_run():
            raise ValueError(f"{self.path} exists and is no run: choose another folder")

    def _is_run(self):
        """Also one that was killed before its first file was whole."""
        if not self.path.is_dir():
            return False
        names = {entry.name for entry in self.path.iterdir()}
        others = {name for name in names if not name.startswith((_OVERWRITTEN, _MOVING))}
        return FLAGFILE in names or others <= {*_OWN, f".part-{FLAGFILE}"}

    @property
    def begun(self):
        """Whether an earlier process began this run."""
        return (self.path / FLAGFILE).is_file()

    def _read_flags(self):
        """`(command, {name: text})` as they were written down, under the names of now."""
        made_by, begun = read_flags(self.path)
        begun = {self._renamed.get(name, name): value for name, value in begun.items()}
        begun.pop(None, None)
        earlier = {name: begun[source] for name, source in self._implied.items() if source in begun}
        return made_by, earlier | begun

    def check_flags(self):
        """Raises a ValueError that names the flags with which the run was begun and is not now."""
        if not self.begun:
            return
        made_by, begun = self._read_flags()
        if made_by not in (None, self._command):
            raise ValueError(f"{self.path} is a run of {made_by}: choose another folder")
        begun, asked = self._defaults | begun, self._defaults | self.flags
        changes = [
            f"--{name} was {begun.get(name, 'not given')} and is {asked.get(name, 'not given')}"
            for name in sorted((begun.keys() | asked.keys()) - set(self._changeable))
            if begun.get(name) != asked.get(name)
        ]
        if changes:
            changes = f"{'; '.join(changes)}: give those to go on"
            raise identity.IdentityMismatchError(self.path, changes, "was begun with other flags")

    def check_overwritable(self):
        """Raises a ValueError if what is there was not made by this command for the same thing."""
        if not self.begun:
            return
        made_by, begun = self._read_flags()
        if self._command and made_by != self._command:
            whose = f"is a run of {made_by}" if made_by else "does not say which command made it"
            raise ValueError(f"{self.path} {whose}: it is not overwritten, move it away yourself")
        others = [name for name in self._same if begun.get(name) != self.flags.get(name)]
        if others:
            was, now = (flags.get(others[0], "not given") for flags in (begun, self.flags))
            raise ValueError(
                f"{self.path} is of --{others[0]}={was}, and not of {now}: it is not overwritten, move it "
                f"away yourself"
            )

    def result(self):
        """What a finished run measured, else None.

        Raises:
          DamagedFileError: if its file is not what was written.
        """
        path = self.path / RESULT
        if path.is_dir():
            raise files.DamagedFileError(path, "it is a folder")
        return files.read_json(path) if path.is_file() else None

    @contextlib.contextmanager
    def claimed(self, overwrite=False, patience=0.0):
        """Makes the folder this process's own, until it ends in whatever way.

        Args:
          overwrite: whether what an earlier process left there makes room. It is moved to `overwritten-1`
            in the folder, and deleted when the new run is whole, as far as that has made it again.
          patience: seconds to wait for another process that has it.

        Raises:
          ValueError: if another process has it, if its flags are others, if it cannot be made, or if it is
            to be overwritten and something else than this command made it.
        """
        with locks.held(self.path / _LOCK, patience=patience):
            self._put_back()
            if overwrite:
                self.check_overwritable()
                self._set_aside()
            self.check_flags()
            begun = self.begun
            if not begun or self._changeable:
                lines = [f"--{name}={value}\n" for name, value in sorted(self.flags.items())]
                made_by = [f"{_MADE_BY}{self._command}\n"] if self._command else []
                files.write_text("".join([*made_by, *lines]), self.path / FLAGFILE)
            try:
                yield
            except ValueError:  # what was asked for cannot be: it may be asked for otherwise
                if not begun and [entry.name for entry in self._entries(self.path)] == [FLAGFILE]:
                    (self.path / FLAGFILE).unlink()
                raise
            if (self.path / RESULT).is_file():
                self._drop_overwritten()

    def _entries(self, folder):
        """What a run consists of: the result first and the flags last."""
        order = {RESULT: 0, FLAGFILE: 2}
        kept = (*_OWN, _MOVING)
        entries = [e for e in folder.iterdir() if e.name not in kept and not e.name.startswith(_OVERWRITTEN)]
        return sorted(entries, key=lambda entry: order.get(entry.name, 1))

    def _set_aside(self):
        """A kill on the way leaves an unfinished run, and `_put_back` undoes it."""
        entries = self._entries(self.path)
        if not entries:
            return
        moving = self.path / _MOVING
        moving.mkdir()
        for entry in entries:
            entry.rename(moving / entry.name)
        numbers = [int(name) for name in self._overwritten() if name.isdigit()]
        aside = self.path / f"{_OVERWRITTEN}{max(numbers, default=0) + 1}"
        moving.rename(aside)
        progress.say(f"what was there is in {aside} until this run is finished")

    def _put_back(self):
        """What a process was killed over while it moved it."""
        moving = self.path / _MOVING
        if moving.is_dir():
            for entry in reversed(self._entries(moving)):
                entry.rename(self.path / entry.name)
            moving.rmdir()

    def _overwritten(self):
        """`{number: folder}` of what waits for a new run."""
        found = self.path.glob(f"{_OVERWRITTEN}*")
        return {path.name.removeprefix(_OVERWRITTEN): path for path in sorted(found)}

    def _drop_overwritten(self):
        """Deletes what the new run has made again; what it has not may be somebody else's, and stays."""
        for aside in self._overwritten().values():
            for entry in list(aside.iterdir()):
                if entry.name.startswith(".part-") or self._has_again(entry.name):
                    folders.remove(entry)
            kept = ", ".join(sorted(entry.name for entry in aside.iterdir()))
            if kept:
                progress.say(f"{aside} keeps what this run has not made again: {kept}")
            else:
                aside.rmdir()

    def _has_again(self, name):
        """Whether the new run has made what was called so; event files of TensorBoard have new names."""
        is_of_events = name.startswith(_EVENTS) and any(self.path.glob(f"{_EVENTS}*"))
        return is_of_events or (self.path / name).exists()

    def finish(self, result):
        """Writes `result.json`, atomically and last: it says that the run is whole."""
        files.write_json(result, self.path / RESULT)
