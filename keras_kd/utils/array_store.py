"""Arrays that are measured piece by piece, in one `.npz` file that keeps what is done.

pieces = Pieces("reuse.npz", {"network": digest})
ranks = pieces.once("ranks/residual", lambda: {"layers": names, "values": measure()})
"""

import json
import pathlib
import time

import numpy as np

from keras_kd.utils import files, identity

# Between two writings of a piece that is under way, at least.
SAVE_SECONDS = 5.0

_IDENTITY = "identity"

_UNDER_WAY = "under way"

_DONE = "steps done"


class ArrayStore:
    """Pieces, `{name: {key: array}}`, each kept in the file as soon as it is measured.

    In the file an array is called `name/key`. A long piece may be kept while it is under way: `begun`, `keep`
    after each step, and `finish`.

    Args:
      path: of the file; None keeps everything in memory alone.
      identity: `{name: JSON value}`: what is measured. A file of something else is refused.

    Raises:
      ValueError: if the file is damaged or of something else; it stays as it is.
    """

    def __init__(self, path, identity):
        self._path = None if path is None else pathlib.Path(path)
        self._identity = json.loads(json.dumps(identity))
        self._found = {}
        self._saved = time.monotonic()
        if self._path is not None and self._path.exists():
            self._read()

    def __contains__(self, name):
        return name in self._found

    def __getitem__(self, name):
        return self._found[name]

    def once(self, name, measure):
        """A piece, measured if it is not there yet.

        Args:
          name: of the piece; may contain `/`.
          measure: returns `{key: array}`; keys without `/`.
        """
        if name not in self:
            self._put({name: measure()})
        return self[name]

    def begun(self, name, arrays):
        """Fills arrays with what an earlier process kept of a piece that is under way.

        Args:
          name: of the piece.
          arrays: `{key: array}`, as they are before the first step; changed in place.

        Returns:
          How many steps are done.
        """
        kept = self._found.get(f"{_UNDER_WAY}/{name}", {_DONE: 0})
        for key, values in kept.items():
            if key != _DONE:
                arrays[key][...] = values
        return int(kept[_DONE])

    def keep(self, name, arrays, done):
        """Keeps the arrays of a piece that is under way, should the last writing be `SAVE_SECONDS` ago."""
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            self._put({f"{_UNDER_WAY}/{name}": {**arrays, _DONE: done}})

    def finish(self, name, pieces):
        """Puts what became of a piece that was under way, `{name: {key: array}}`, in its place."""
        self._found.pop(f"{_UNDER_WAY}/{name}", None)
        self._put(pieces)

    def _put(self, pieces):
        for name, arrays in pieces.items():
            self._found[name] = {key: np.array(values) for key, values in arrays.items()}
        if self._path is not None:
            arrays = {
                f"{n}/{key}": values for n, piece in self._found.items() for key, values in piece.items()
            }
            files.write_arrays(arrays | {_IDENTITY: json.dumps(self._identity)}, self._path)
        self._saved = time.monotonic()

    def _read(self):
        arrays = files.read_arrays(self._path)
        if _IDENTITY not in arrays:
            raise ValueError(
                f"{self._path} does not say what it is of: move it away, or choose another --out"
            )
        changes = identity.differences(json.loads(str(arrays.pop(_IDENTITY))), self._identity)
        if changes:
            raise ValueError(
                f"{self._path} holds what was measured of something else: {changes}: choose another --out, "
                f"or pass --overwrite to start anew"
            )
        for path, values in arrays.items():
            name, _, key = path.rpartition("/")
            self._found.setdefault(name, {})[key] = values
