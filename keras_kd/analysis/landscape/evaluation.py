"""A measure at many points, stored as it comes, so that one that was killed goes on.

evaluation = GridEvaluation("surface.npz", surface.along(plane), points, surface.identity(plane))
values = evaluation.run()
"""

import numpy as np

from keras_kd.analysis.landscape import surface
from keras_kd.utils import array_store, progress
from keras_kd.utils.identity import array_digest

# The piece under way; what is finished are the file's `points`, `values` and `done`.
_GRID = "grid"
_FINISHED = ""


class GridEvaluation:
    """A measure at many points, in an `ArrayStore` of its own.

    Args:
      path: of the file, `.npz`.
      measure: from coordinates `[k, axes]` to `[k, measures]`.
      points: `[n, axes]`.
      identity: `{name: JSON value}`: what is measured.
      measures: names of what is measured.

    Attributes:
      values: float64 `[n, measures]`; NaN where nothing is measured yet, or a loss is not finite.
      done: how many points are measured.

    Raises:
      IdentityMismatchError: if the file is of something else; it stays as it is.
      ValueError: if the file is damaged.
    """

    def __init__(self, path, measure, points, identity, measures=surface.MEASURES):
        self.points = np.asarray(points, np.float64)
        self.measures = tuple(measures)
        self._measure = measure
        self._store = array_store.ArrayStore(
            path,
            {
                **identity,
                "points": array_digest({"points": self.points}),
                "measures": list(measures),
            },
        )
        self.values = np.full((len(self.points), len(self.measures)), np.nan)
        self.done = self._resume()

    def _resume(self):
        done = self._store.resume(_GRID, {"values": self.values})
        if done or _FINISHED not in self._store:
            return done
        stored = self._store[_FINISHED]  # of older files also what is under way
        self.values[...] = stored["values"]
        return int(stored["done"])

    def run(self, on_progress=progress.no_progress, chunk=surface.CHUNK):
        """Measures what is not there yet.

        Args:
          on_progress: is called with the points done and their number, before the first and after each
            chunk; what it raises ends the work, with nothing lost but what was under way.
          chunk: points at a time.

        Returns:
          float64 `[n, measures]`; a loss that is not finite is NaN.
        """
        total = len(self.points)
        on_progress(self.done, total)
        if self.done == total:
            return self.values
        try:
            while self.done < total:
                part = slice(self.done, self.done + chunk)
                self.values[part] = self._measure(self.points[part])
                self.done = min(total, part.stop)
                self._store.checkpoint(_GRID, {"values": self.values}, self.done)
                on_progress(self.done, total)
        finally:
            self._write()
        return self.values

    def _write(self):
        if self.done < len(self.points):
            self._store.checkpoint(_GRID, {"values": self.values}, self.done, now=True)
            return
        finished = {"points": self.points, "values": self.values, "done": self.done}
        self._store.commit(_GRID, {_FINISHED: finished})

    @property
    def holes(self):
        """How many of the points that are done have a loss that is not finite."""
        return int(np.isnan(self.values[: self.done, 0]).sum())
