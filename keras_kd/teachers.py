"""A teacher's logits, computed once and kept on disk for every run that asks the same.

A teacher that does not change need not be asked twice. Its logits are kept for each training
example under V fixed views (epoch e shows view e mod V), so that teacher and student see the
same image: the consistent teacher of Beyer et al. 2022, arXiv:2106.05237.

    kept = teachers.keep(teacher, dataset, plan, "runs/teacher_logits")
    training.distill(teacher, student, dataset, settings, teacher_logits=kept)
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import warnings
import zlib

import keras
import numpy as np

from keras_kd import augmentation, checkpoints, compatibility, folding, inference, progress, storage

DTYPES = ("float16", "float32")

# Rows that are computed, checked and written together: what a kill costs at the most.
BLOCK = 4096

VERSION = 1  # of what is stored and how it is computed
PROBES = 4  # images about which a teacher is asked to know it again
SAME_ANSWER = 1e-2  # of the largest logit: what other machines and precisions may differ by

_IDENTITY = "identity.json"


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
        if not isinstance(self.top_k, int) or self.top_k < 0:
            raise ValueError(f"top_k must be a whole number >= 0. Received: top_k={self.top_k!r}")
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
        """Float `[n, classes]` to rows `[n]`.

        Raises:
          ValueError: for logits that are not finite in this dtype.
        """
        if logits.shape[1:] != (self.classes,):
            raise ValueError(f"logits must be [n, {self.classes}]. Received: shape {logits.shape}")
        with np.errstate(over="ignore", invalid="ignore"):
            rows = self._top(logits) if self.top_k else logits.astype(self.dtype)
        if not np.isfinite(logits).all() or not np.isfinite(rows["logits"] if self.top_k else rows).all():
            raise ValueError(
                f"the teacher's logits must be finite in {self.dtype}: use float32, or another teacher. "
                f"Received: logits from {logits.min()} to {logits.max()}"
            )
        return rows

    def _top(self, logits):
        logits = logits.astype(np.float64)
        order = np.argsort(-logits, axis=1, kind="stable")
        ordered = np.take_along_axis(logits, order, axis=1)
        top, rest = ordered[:, : self.top_k], ordered[:, self.top_k :]
        rows = np.empty(len(logits), self.row)
        rows["logits"], rows["classes"] = top, order[:, : self.top_k]
        largest = rest[:, 0]
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


class TeacherLogits:
    """Logits that are whole, read from disk as they are asked for; `keep` makes it.

    Any number of processes may read the same folder.

    Attributes:
      identity: `{name: JSON value}`: whose logits of what they are, and how they are stored.
      views: how many views of the training examples there are.
    """

    def __init__(self, whose, row_format, validation, views):
        self._whose = whose
        self.identity = whose.identity
        self.views = len(views)
        self._format = row_format
        self._validation = validation.rows()
        self._views = [view.rows() for view in views]

    def check(self, teacher, dataset, plan):
        """Raises a ValueError that says what differs if these are not the logits of this teacher and plan.

        Args:
          teacher, dataset, plan: as for `keep`.
        """
        _Whose.of(teacher, dataset, plan, self._format).compare(self._whose)

    def train(self, view, index):
        """Logits of training examples under a view.

        Args:
          view: from 0 to `views` - 1.
          index: whole numbers `[n]`, places in the training split.

        Returns:
          float32 `[n, classes]`.
        """
        return self._format.decode(self._views[view][index])

    def validation(self, start, stop):
        """float32 `[stop - start, classes]`: of validation examples, which are never moved."""
        return self._format.decode(self._validation[start:stop])


def keep(teacher, dataset, plan, folder, *, dtype="float16", top_k=0, batch_size=256):
    """The teacher's logits under each view of a plan, computed as far as they are not there yet.

    What is there is compared with its checksums first, and computed again where it is damaged. While
    one process computes, others that want the same wait for it.

    Args:
      teacher: a `keras.Model` that returns logits.
      dataset: a `keras_kd.datasets.Dataset`.
      plan: a `keras_kd.plans.Plan` with `views` > 0. Plans that differ only in the size of a batch
        or the number of views share their logits.
      folder: under which every teacher, dataset, augmentation, seed and format has a folder of its own.
      dtype: "float16" or "float32".
      top_k: how many logits of an example to keep, the rest spread evenly; 0 keeps all.
      batch_size: examples that the teacher sees at a time.

    Returns:
      A `TeacherLogits`.

    Raises:
      ValueError: for a plan without views, a network that ends in softmax, a wrong format, or a folder
        that holds the logits of something else.
    """
    if plan.views < 1:
        raise ValueError(f"logits are kept for a number of views >= 1. Received: views={plan.views}")
    classes = compatibility.check_logits(teacher, "teacher")
    compatibility.check_class_counts(classes, dataset.num_classes)
    row_format = RowFormat(dataset.num_classes, dtype, top_k)
    whose = _Whose.of(teacher, dataset, plan, row_format)
    folder = pathlib.Path(folder) / whose.key
    still = np.zeros((3, len(dataset.validation.labels)), np.int32)
    validation = _Part(folder / "validation", row_format, dataset.validation.images, still)
    views = [
        _Part(folder / f"view-{view:04d}", row_format, dataset.train.images, np.stack(plan.view(view)))
        for view in range(plan.views)
    ]
    parts = [validation, *views]
    if not whose.is_in(folder) or any(part.missing() for part in parts):
        with _alone_in(folder):
            if not whose.is_in(folder):
                whose.write(folder)
            _fill(parts, teacher, dataset, batch_size)
    return TeacherLogits(whose, row_format, validation, views)


@dataclasses.dataclass(frozen=True)
class _Whose:
    """Whose logits of what.

    Attributes:
      identity: `{name: JSON value}`: all that the logits depend on, and how they are stored.
      answers: the teacher's logits for some images: code of a network's own is in no fingerprint.
    """

    identity: dict
    answers: list

    @classmethod
    def of(cls, teacher, dataset, plan, row_format):
        identity = {
            "teacher": checkpoints.digest(teacher),
            "teacher_layers": checkpoints.structure(teacher),
            "dataset": dataset.fingerprint,
            "augmentation": plan.augmentation,
            "moves": zlib.crc32(np.stack(plan.view(0)).tobytes()),  # of the seed, if NumPy draws as it did
            "seed": plan.seed,
            "version": VERSION,
            **dataclasses.asdict(row_format),
        }
        images = augmentation.normalise(dataset.train.images[:PROBES], dataset.mean, dataset.std)
        logits = keras.ops.convert_to_numpy(keras.ops.cast(teacher(images, training=False), "float32"))
        return cls(identity, logits.tolist())

    @property
    def key(self):
        """Name of the folder."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]

    def is_in(self, folder):
        """Whether the folder was begun for these logits.

        Raises:
          ValueError: if it was begun for others.
        """
        path = folder / _IDENTITY
        if not path.exists():
            return False
        try:
            found = _Whose(**json.loads(path.read_text(encoding="utf-8")))
            self.compare(found)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: {error}: delete {folder}") from error
        return True

    def write(self, folder):
        storage.write_json(dataclasses.asdict(self), folder / _IDENTITY)

    def compare(self, found):
        """Raises a ValueError that says what differs."""
        changes = checkpoints.differences(found.identity, self.identity)
        mine, others = np.array(self.answers), np.array(found.answers)
        if not changes and not np.allclose(mine, others, rtol=0, atol=SAME_ANSWER * np.abs(mine).max()):
            changes = "the teacher answers otherwise, though its layers and weights look the same"
        if changes:
            raise ValueError(f"these are the logits of something else: {changes}")


@contextlib.contextmanager
def _alone_in(folder):
    """Waits until no other process computes in the folder; the system ends the wait when one dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for another process that fills {folder}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Part:
    """The logits of some images in a file of rows, and beside it the checksum of each block that is there.

    The file is written like any other, not through memory, where a full disk would end the process.

    Args:
      stem: path of the two files less their endings.
      row_format: a `RowFormat`.
      images: uint8 `[n, height, width, channels]`.
      moves: int32 `[3, n]`, where they go.
    """

    def __init__(self, stem, row_format, images, moves):
        self._rows = stem.with_suffix(".rows")
        self._sums = stem.with_suffix(".json")
        self._format = row_format
        self._images = images
        self._moves = moves
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
            if str(start) in written and zlib.crc32(rows[start:stop].tobytes()) == written[str(start)]
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
            sums = dict(json.loads(self._sums.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            self._warn("the checksums cannot be read")
            return {}
        if not self._rows.exists() or self._rows.stat().st_size != size:
            self._warn(f"the file has not its {size} bytes")
            return {}
        return sums

    def _warn(self, damage):
        warnings.warn(f"{self._rows} is damaged ({damage}): those logits are computed again", stacklevel=5)

    def normalised(self, start, stop, dataset):
        """float32 images as the teacher sees them."""
        images, moves = self._images[start:stop], self._moves[:, start:stop]
        return augmentation.augment(images, *moves, dataset.mean, dataset.std)

    def write(self, start, logits):
        """Writes a block, then its checksum; an error leaves the other blocks as they were."""
        rows = self._format.encode(logits).tobytes()
        try:
            self._rows.touch()  # others may have the file in memory: it is never cut to nothing
            with self._rows.open("r+b") as file:
                file.truncate(len(self._images) * self._format.row.itemsize)
                file.seek(start * self._format.row.itemsize)
                file.write(rows)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            error.filename = error.filename or str(self._rows)
            raise
        self._checksums[str(start)] = zlib.crc32(rows)
        storage.write_json(self._checksums, self._sums)


def _fill(parts, teacher, dataset, batch_size):
    """Asks the teacher for all that is missing, and for nothing else."""
    missing = [(part, block) for part in parts for block in part.missing()]
    if not missing:
        return
    count = sum(stop - start for _, (start, stop) in missing)
    progress.say(f"teacher logits: {count:,} images to ask {teacher.name} about")
    forward = inference.compiled(folding.fold_batch_norm(teacher))
    with progress.bar("images") as bar:
        task = bar.add_task("teacher logits", total=count)
        for part, (start, stop) in missing:
            logits = []
            for first in range(start, stop, batch_size):
                images = part.normalised(first, min(first + batch_size, stop), dataset)
                logits.append(keras.ops.convert_to_numpy(forward(images)))
                bar.advance(task, len(images))
            part.write(start, np.concatenate(logits))
