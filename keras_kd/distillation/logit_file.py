"""Logits in a file of rows, each block with its checksum."""

import dataclasses
import os
import warnings
import zlib

import numpy as np

from keras_kd.utils import files
from keras_kd.utils.checks import is_whole

DTYPES = ("float16", "float32")


# Rows that are computed, checked and written together: what a kill costs at the most.
BLOCK = 4096


@dataclasses.dataclass(frozen=True)
class RowFormat:
    """How the logits of one example are stored.

    With `top_k` only the k largest are kept, each with its class, and one number more: the logit that
    all other classes share, so that together they keep their probability.

    Attributes:
      classes: how many there are.
      dtype: "float16" or "float32", of the logits.
      top_k: how many logits are kept; 0 or all classes: all.

    Raises:
      ValueError: for another dtype, or a negative `top_k`.
    """

    classes: int
    dtype: str = "float16"
    top_k: int = 0

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {DTYPES}. Received: dtype={self.dtype!r}")
        if not is_whole(self.top_k) or self.top_k < 0:
            raise ValueError(f"top_k must be a whole number >= 0. Received: top_k={self.top_k!r}")
        object.__setattr__(self, "top_k", int(self.top_k))
        if self.top_k >= self.classes:
            object.__setattr__(self, "top_k", 0)

    @property
    def row(self):
        """The `numpy.dtype` of one example."""
        if not self.top_k:
            return np.dtype((self.dtype, (self.classes,)))
        place = np.uint16 if self.classes <= 2**16 else np.uint32
        return np.dtype(
            [("logits", self.dtype, self.top_k), ("classes", place, self.top_k), ("others", self.dtype)]
        )

    def encode(self, logits):
        """Float `[n, classes]` to rows `[n]`; -inf is a class that the teacher masks.

        Raises:
          ValueError: for NaN, +inf, an example without any class, or logits too large for this dtype.
        """
        if logits.shape[1:] != (self.classes,):
            raise ValueError(f"logits must be [n, {self.classes}]. Received: shape {logits.shape}")
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            rows = self._top(logits) if self.top_k else logits.astype(self.dtype)
        if not np.isfinite(logits.max(axis=1)).all() or not self._fit(rows, logits):
            raise ValueError(
                f"the teacher's logits must be finite in {self.dtype}: use float32, or another teacher. "
                f"Received: logits from {logits.min()} to {logits.max()}"
            )
        return rows

    def _fit(self, rows, logits):
        """Whether what is finite in the logits still is in the rows."""
        if not self.top_k:
            return np.array_equal(np.isfinite(rows), np.isfinite(logits))
        given = np.take_along_axis(logits, rows["classes"].astype(np.int64), axis=1)
        return np.array_equal(np.isfinite(rows["logits"]), np.isfinite(given))

    def _top(self, logits):
        logits = logits.astype(np.float64)
        order = np.argsort(-logits, axis=1, kind="stable")
        ordered = np.take_along_axis(logits, order, axis=1)
        top, rest = ordered[:, : self.top_k], ordered[:, self.top_k :]
        rows = np.empty(len(logits), self.row)
        rows["logits"], rows["classes"] = top, order[:, : self.top_k]
        largest = np.where(np.isneginf(rest[:, 0]), 0.0, rest[:, 0])
        mean = np.exp(rest - largest[:, np.newaxis]).mean(axis=1)
        rows["others"] = np.maximum(largest + np.log(mean), np.finfo(self.dtype).min)
        return rows

    def decode(self, rows):
        """Rows `[n]` to float32 logits `[n, classes]`."""
        if not self.top_k:
            return np.asarray(rows, np.float32)
        logits = np.repeat(rows["others"].astype(np.float32)[:, np.newaxis], self.classes, axis=1)
        np.put_along_axis(logits, rows["classes"].astype(np.int64), rows["logits"].astype(np.float32), axis=1)
        return logits


class LogitFile:
    """The logits of some images in a file of rows, and beside it the checksum of each block that is there.

    The file is written like any other, not through memory, where a full disk would end the process.

    Args:
      stem: path of the two files less their endings.
      row_format: a `RowFormat`.
      images: uint8 `[n, height, width, channels]`.
      params: `{field: array [n]}`, how they are augmented.
    """

    def __init__(self, stem, row_format, images, params):
        self._rows = stem.with_suffix(".rows")
        self._sums = stem.with_suffix(".json")
        self._format = row_format
        self._images = images
        self._params = params
        self._checksums = {}
        self._blocks = [(start, min(start + BLOCK, len(images))) for start in range(0, len(images), BLOCK)]

    def rows(self):
        """The rows, memory-mapped."""
        return np.memmap(self._rows, self._format.row, "r", shape=(len(self._images),))

    def missing(self):
        """The blocks to compute, `[(start, stop)]`: those that are absent and, with a warning, damaged."""
        written = self._written()
        rows = self.rows() if written else None
        self._checksums = {
            str(start): written[str(start)]
            for start, stop in self._blocks
            if str(start) in written and self._checksum(start, rows[start:stop]) == written[str(start)]
        }
        damaged = len(written) - len(self._checksums)
        if damaged:
            self._warn(f"{damaged} of {len(self._blocks)} blocks are not what was written")
        return [block for block in self._blocks if str(block[0]) not in self._checksums]

    def _written(self):
        """`{start: checksum}` of the blocks that were written; none if either file is not whole."""
        if not self._sums.exists():
            return {}
        size = len(self._images) * self._format.row.itemsize
        try:
            sums = files.read_json(self._sums)
        except files.DamagedFileError:
            self._warn("the checksums cannot be read")
            return {}
        if not self._rows.exists() or self._rows.stat().st_size != size:
            self._warn(f"the file has not its {size} bytes")
            return {}
        return sums

    def _checksum(self, start, rows):
        """Of a block in its place: the same rows elsewhere, or of another view or folder, have another."""
        place = f"{self._rows.parent.name}/{self._rows.name} {start}"
        return zlib.crc32(rows.tobytes(), zlib.crc32(place.encode()))

    def _warn(self, damage):
        warnings.warn(f"{self._rows} is damaged ({damage}): those logits are computed again", stacklevel=5)

    def augmented(self, start, stop, dataset, augmentation):
        """float32 images as the teacher sees them."""
        params = {field: values[start:stop] for field, values in self._params.items()}
        index = np.arange(start, stop)
        return augmentation.fetch_and_apply(
            self._images.__getitem__, index, params, dataset.mean, dataset.std
        )

    def write(self, start, logits):
        """Writes a block, then its checksum; an error leaves the other blocks as they were."""
        rows = self._format.encode(logits)
        try:
            self._rows.touch()  # others may have the file in memory: it is never cut to nothing
            with self._rows.open("r+b") as file:
                file.truncate(len(self._images) * self._format.row.itemsize)
                file.seek(start * self._format.row.itemsize)
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            error.filename = error.filename or str(self._rows)
            raise
        self._checksums[str(start)] = self._checksum(start, rows)
        files.write_json(self._checksums, self._sums)
