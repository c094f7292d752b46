"""Arrays that are measured piece by piece, in one `.npz` file that holds what is done.

store = ArrayStore("reuse.npz", {"network": digest})
ranks = store.once("ranks/residual", lambda: {"layers": names, "values": measure()})
"""

import json
import pathlib
import time

import numpy as np

from keras_kd.utils import files
from keras_kd.utils.identity import check_identity

# Between two writings of a piece that is under way, at least.
SAVE_SECONDS = 5.0

_IDENTITY = "identity"

_UNDER_WAY = "under way"

_DONE = "steps done"


class ArrayStore:
    """Entries, `{name: {key: array}}`, each in the file as soon as it is measured.

    In the file an array is called `name/key`, and `key` alone if its piece has the empty name. A long piece
    may be stored while it is under way: `resume`, `checkpoint` after each step, and `commit`.

    Args:
      path: of the file; None: everything stays in memory.
      identity: `{name: JSON value}`: what is measured.

    Raises:
      IdentityMismatchError: if the file is of something else; it stays as it is.
      ValueError: if the file is damaged, or does not say what it is of.
    """

    def __init__(self, path, identity):
        self._path = None if path is None else pathlib.Path(path)
        self._identity = json.loads(json.dumps(identity))
        self._pieces = {}
        self._saved = time.monotonic()
        if self._path is not None and self._path.exists():
            self._read()

    def __contains__(self, name):
        return name in self._pieces

    def __getitem__(self, name):
        return self._pieces[name]

    def once(self, name, measure):
        """A piece, measured if it is not there yet.

        Args:
          name: of the piece; may contain `/`.
          measure: returns `{key: array}`; keys without `/`.
        """
        if name not in self:
            self._put({name: measure()})
        return self[name]

    def resume(self, name, arrays):
        """Fills arrays with what an earlier process stored of a piece that is under way.

        Args:
          name: of the piece.
          arrays: `{key: array}`, as they are before the first step; changed in place.

        Returns:
          How many steps are done.
        """
        stored = self._pieces.get(f"{_UNDER_WAY}/{name}", {_DONE: 0})
        for key, values in stored.items():
            if key != _DONE:
                arrays[key][...] = values
        return int(stored[_DONE])

    def checkpoint(self, name, arrays, done, *, now=False):
        """Stores the arrays of a piece that is under way.

        Args:
          name: of the piece.
          arrays: `{key: array}` after the last step.
          done: how many steps are done.
          now: whether to write even if the last writing is less than `SAVE_SECONDS` ago.
        """
        if now or time.monotonic() - self._saved >= SAVE_SECONDS:
            self._put({f"{_UNDER_WAY}/{name}": {**arrays, _DONE: done}})

    def commit(self, name, entries):
        """Puts what became of a piece that was under way, `{name: {key: array}}`, in its place."""
        self._pieces.pop(f"{_UNDER_WAY}/{name}", None)
        self._put(entries)

    def _put(self, entries):
        for name, arrays in entries.items():
            self._pieces[name] = {key: np.array(values) for key, values in arrays.items()}
        if self._path is not None:
            arrays = {
                f"{name}/{key}" if name else key: values
                for name, piece in self._pieces.items()
                for key, values in piece.items()
            }
            files.write_arrays(arrays | {_IDENTITY: json.dumps(self._identity)}, self._path)
        self._saved = time.monotonic()

    def _read(self):
        arrays = files.read_arrays(self._path)
        try:
            stored = json.loads(str(arrays.pop(_IDENTITY)))
        except (KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"{self._path} does not say what it is of: move it away") from error
        check_identity(self._path, stored, self._identity)
        for path, values in arrays.items():
            name, _, key = path.rpartition("/")
            self._pieces.setdefault(name, {})[key] = values
