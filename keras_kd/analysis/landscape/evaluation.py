"""A measure at many points, kept as it comes, so that one that was killed goes on.

survey = Survey("surface.npz", height.along(plane), points, height.identity(plane))
values = survey.run()
"""

import json
import pathlib
import time

import numpy as np

from keras_kd.analysis.landscape import surface
from keras_kd.utils import files
from keras_kd.utils.identity import array_digest, differences


class GridEvaluation:
    """A measure at many points, kept in a file as they come: a survey that was killed goes on.

    Args:
      path: of the file, `.npz`.
      measure: from coordinates `[k, axes]` to `[k, measures]`.
      points: `[n, axes]`.
      identity: `{name: JSON value}`: what is measured. A file of something else is refused.
      measures: names of what is measured.

    Raises:
      ValueError: if the file is damaged or of another survey; it stays as it is.
    """

    def __init__(self, path, measure, points, identity, measures=surface.MEASURES):
        self.path = pathlib.Path(path)
        self.points = np.asarray(points, np.float64)
        self._measure = measure
        self._identity = {
            **json.loads(json.dumps(identity)),
            "points": array_digest({"points": self.points}),
            "measures": list(measures),
        }
        self.measures = tuple(measures)
        self.values = np.full((len(self.points), len(self.measures)), np.nan)
        self.done = 0
        if self.path.exists():
            self._read()

    def _read(self):
        arrays = files.read_arrays(self.path)
        try:
            found = json.loads(str(arrays["identity"]))
            values, done = arrays["values"], int(arrays["done"])
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{self.path} is no survey ({error}): move it away, or choose another --out"
            ) from error
        changes = differences(found, self._identity)
        if changes:
            raise ValueError(
                f"{self.path} holds another survey: {changes}: choose another --out, or pass --overwrite to "
                f"start anew"
            )
        self.values, self.done = values, done

    def run(self, watch=lambda done, total: None, chunk=surface.CHUNK, save_seconds=5.0):
        """Measures what is not there yet.

        Args:
          watch: is called with the points done and their number, before the first and after each chunk; what
            it raises ends the survey, with nothing lost but what was under way.
          chunk: points at a time.
          save_seconds: between two writings of the file, at least.

        Returns:
          float64 `[n, measures]`; a loss that is not finite is NaN.
        """
        watch(self.done, len(self.points))
        saved = time.monotonic()
        try:
            while self.done < len(self.points):
                part = slice(self.done, self.done + chunk)
                self.values[part] = self._measure(self.points[part])
                self.done = min(len(self.points), part.stop)
                if time.monotonic() - saved >= save_seconds:
                    self._write()
                    saved = time.monotonic()
                watch(self.done, len(self.points))
        finally:
            self._write()
        return self.values

    def _write(self):
        arrays = {"points": self.points, "values": self.values, "done": self.done}
        files.write_arrays(arrays | {"identity": json.dumps(self._identity)}, self.path)

    @property
    def holes(self):
        """How many of the points that are done have a loss that is not finite."""
        return int(np.isnan(self.values[: self.done, 0]).sum())
