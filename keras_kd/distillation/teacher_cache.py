"""A teacher's logits, computed once and kept on disk for every run that asks the same.

A teacher that does not change need not be asked twice. Its logits are kept for each training
example under V fixed views (epoch e shows view e mod V), so that teacher and student see the
same image: the consistent teacher of Beyer et al. 2022, arXiv:2106.05237.

    kept = distillation.cache_logits(teacher, dataset, schedule, "runs/teacher_logits")
    training.distill(teacher, student, dataset, settings, teacher_logits=kept)
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import pathlib
import zlib

import keras
import numpy as np

from keras_kd.data import lazy_images
from keras_kd.data.augmentation import normalise
from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import compatibility, logit_file
from keras_kd.models import folding, inference, outputs, weights
from keras_kd.utils import files, identity, limits, locks, progress

VERSION = 2  # of what is stored and how it is computed

PROBES = 4  # images about which a teacher is asked to know it again

SAME_ANSWER = 1e-2  # of the largest logit: what other machines and precisions may differ by

_IDENTITY = "identity.json"


class TeacherLogits:
    """Logits that are whole, read from disk as they are asked for; `cache_logits` makes it.

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

    def check(self, teacher, dataset, schedule):
        """Raises a ValueError that says what differs if these are not this teacher's logits.

        Args:
          teacher, dataset, schedule: as for `cache_logits`.
        """
        _CacheKey.of(teacher, dataset, schedule, self._format).compare(self._whose)

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


def cache_logits(teacher, dataset, schedule, folder, *, dtype="float16", top_k=0, batch_size=None):
    """The teacher's logits under each view of a schedule, computed as far as they are not there yet.

    What is there is compared with its checksums first, and computed again where it is damaged. While
    one process computes, others that want the same wait for it.

    Args:
      teacher: a `keras.Model` that returns logits.
      dataset: a `keras_kd.data.Dataset`.
      schedule: a `keras_kd.data.sampling.BatchSchedule` with `views` > 0. Those that differ only in
        the size of a batch or the number of views share their logits.
      folder: under which every teacher, dataset, augmentation, seed and format has a folder of its own.
      dtype: "float16" or "float32".
      top_k: how many logits of an example to keep, the rest spread evenly; 0 keeps all.
      batch_size: examples that the teacher sees at a time; None: `lazy_images.at_once`.

    Returns:
      A `TeacherLogits`.

    Raises:
      ValueError: for a schedule without views, a network whose logits cannot be had, a wrong format, or a
        folder that holds the logits of something else.
    """
    limits.VIEWS.check("views", schedule.views)
    if schedule.views < 1:
        raise ValueError(f"logits are kept for a number of views >= 1. Received: views={schedule.views}")
    independent = is_multi_label(dataset)
    classes = compatibility.check_classes(teacher, "teacher", independent=independent)
    compatibility.check_class_counts(classes, dataset.num_classes)
    row_format = logit_file.RowFormat(dataset.num_classes, dtype, top_k)
    whose = _CacheKey.of(teacher, dataset, schedule, row_format)
    folder = pathlib.Path(folder) / whose.key
    size = schedule.views * schedule.count * row_format.row.itemsize
    stored = sum(path.stat().st_size for path in folder.glob("*.rows"))
    limits.check_disk(f"the teacher's logits of {schedule.views} views", size - stored, folder)
    neutral = schedule.augmentation.neutral(len(dataset.validation.labels))
    validation = logit_file.LogitFile(folder / "validation", row_format, dataset.validation.images, neutral)
    views = [
        logit_file.LogitFile(
            folder / f"view-{view:04d}", row_format, dataset.train.images, schedule.view(view)
        )
        for view in range(schedule.views)
    ]
    parts = [validation, *views]
    if not whose.is_in(folder) or any(part.missing() for part in parts):
        with _alone_in(folder):
            if not whose.is_in(folder):
                whose.write(folder)
            _fill(
                parts,
                outputs.with_logits(teacher, independent=independent),
                dataset,
                schedule.augmentation,
                batch_size or lazy_images.at_once(dataset.image_shape),
            )
    return TeacherLogits(whose, row_format, validation, views)


@dataclasses.dataclass(frozen=True)
class _CacheKey:
    """Whose logits of what.

    Attributes:
      identity: `{name: JSON value}`: all that the logits depend on, and how they are stored.
      answers: the teacher's logits for some images: code of a network's own is in no fingerprint.
    """

    identity: dict
    answers: list

    @classmethod
    def of(cls, teacher, dataset, schedule, row_format):
        drawn = b"".join(values.tobytes() for values in schedule.view(0).values())
        identity = {
            "teacher": weights.digest(teacher),
            "teacher_layers": weights.structure(teacher),
            "dataset": dataset.fingerprint,
            "augmentation": schedule.augmentation.spec,
            "moves": zlib.crc32(drawn),  # of the seed, if NumPy draws as it did
            "seed": schedule.seed,
            "version": VERSION,
            **dataclasses.asdict(row_format),
        }
        images = normalise(dataset.train.images[:PROBES], dataset.mean, dataset.std)
        logits = keras.ops.convert_to_numpy(keras.ops.cast(teacher(images, training=False), "float32"))
        return cls(identity, files.plain_values(logits))

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
            found = _CacheKey(**files.read_json(path))
            self.compare(found)
        except files.DamagedFileError:
            raise
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: {error}: delete {folder}") from error
        return True

    def write(self, folder):
        files.write_json(dataclasses.asdict(self), folder / _IDENTITY)

    def compare(self, found):
        """Raises a ValueError that says what differs."""
        changes = identity.differences(found.identity, self.identity)
        mine, others = (np.array(each.answers, np.float64) for each in (self, found))  # NaN: masked
        bounds = {"rtol": 0, "atol": SAME_ANSWER * np.nanmax(np.abs(mine)), "equal_nan": True}
        if not changes and not np.allclose(mine, others, **bounds):
            changes = "the teacher answers otherwise, though its layers and weights look the same"
        if changes:
            raise ValueError(f"these are the logits of something else: {changes}")


@contextlib.contextmanager
def _alone_in(folder):
    """Waits until no other process computes in the folder; the system ends the wait when one dies."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locks.held(folder / ".lock"))
        except locks.InUseError:
            progress.say(f"waiting for another process that fills {folder}")
            stack.enter_context(locks.held(folder / ".lock", patience=math.inf))
        yield


def _fill(parts, teacher, dataset, augmentation, batch_size):
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
                images = part.augmented(first, min(first + batch_size, stop), dataset, augmentation)
                logits.append(keras.ops.convert_to_numpy(forward(images)))
                bar.advance(task, len(images))
            part.write(start, np.concatenate(logits))
