"""A study: the runs of a grid, each trained once, in a folder of its own, and kept.

    study = Study("runs/study-depth", grid.runs, identity)
    with study.claimed():
        records = study.run(work, pool)

How a run is trained is not known here: `work(run, folder)` is given.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import math
import pathlib
import re
import traceback
import warnings

from keras_kd import augmentation as augmentations
from keras_kd import checkpoints, losses, resnet, runs, storage

KD = " + KD"
VARIANTS = ("residual", "plain", f"residual{KD}", f"plain{KD}")
CONTROLS = ("smoothing", "shuffled", "untrained")

# So often a run is begun again whose process was killed by something else.
ATTEMPTS = 3

# Seconds that a lost worker may take to end, once its run was begun again elsewhere.
LOST_WORKER = 60.0

VERSION = 1  # of what a run's folder holds and how it is trained

_STUDY = "study.json"


def _number(low, high, open_low=False):
    def check(name, value):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or (open_low and value == low):
            raise ValueError(
                f"{name} must lie in {'(' if open_low else '['}{low}, {high}]. Received: {value!r}"
            )

    return check


def _whole(low, high=2**31 - 1):
    def check(name, value):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"{name} must be a whole number >= {low} (and < 2**31). Received: {value!r}")

    return check


def _one_of(choices):
    def check(name, value):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}. Received: {value!r}")

    return check


# The axes of a grid, but for the mentor: what may be said of each.
AXES = {
    "depth": lambda name, value: resnet.cifar_plan(value),
    "variant": _one_of(VARIANTS),
    "width": _whole(1),
    "dropout": _number(0, 0.9),
    "weight_decay": _number(0, 1),
    "augmentation": _one_of(augmentations.AUGMENTATIONS),
    "label_fraction": _number(0, 1, open_low=True),
    "temperature": lambda name, value: losses.check_temperature(value),
    "alpha": lambda name, value: losses.check_alpha(value),
    "mentor_epochs": _whole(0),
    "seed": _whole(0),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: a point of the grid. It names its folder.

    Attributes:
      depth: 6n+2 layers.
      variant: "residual" or "plain", with " + KD" where a mentor teaches.
      width: channels of the first stage.
      dropout: rate between the convolutions of a block.
      weight_decay: of kernels.
      augmentation: see `plans.plan`.
      label_fraction: share of the training examples that it sees, in about as many steps.
      mentor: a `Mentor`, where the variant has one.
      temperature, alpha: as for `keras_kd.Distiller`.
      mentor_epochs: alpha falls to 0 after so many epochs (of all training examples); 0: the mentor stays.
      seed: of the initial weights, the batches and the validation split.

    Raises:
      ValueError: for a value that an axis does not have; the message begins with the axis's name.
    """

    depth: int
    variant: str = "residual"
    width: int = 16
    dropout: float = 0.0
    weight_decay: float = 1e-4
    augmentation: str = "auto"
    label_fraction: float = 1.0
    mentor: "Mentor | None" = None
    temperature: float = 4.0
    alpha: float = 0.9
    mentor_epochs: int = 0
    seed: int = 0

    def __post_init__(self):
        for name, check in AXES.items():
            check(name, getattr(self, name))
        if self.is_taught != (self.mentor is not None):
            raise ValueError(
                f"mentor must be given where the variant ends in {KD!r}, and only there. "
                f"Received: variant={self.variant!r}, mentor={self.mentor!r}"
            )
        for name in ("dropout", "weight_decay", "label_fraction", "temperature", "alpha"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not self.is_taught:  # so that what does not matter makes no difference
            for name in ("temperature", "alpha", "mentor_epochs"):
                object.__setattr__(self, name, type(self).__dataclass_fields__[name].default)

    @property
    def is_taught(self):
        """Whether a mentor takes part."""
        return self.variant.endswith(KD)

    @property
    def has_shortcuts(self):
        return self.variant.startswith("residual")

    def __hash__(self):
        return hash(self.key)

    @functools.cached_property
    def network(self):
        """Short for the network and what regularises it: "p20w8", "r32w16-wd0.005"."""
        text = f"{self.variant[0]}{self.depth}w{self.width}"
        for short, name in (("do", "dropout"), ("wd", "weight_decay"), ("lf", "label_fraction")):
            value = getattr(self, name)
            if value != type(self).__dataclass_fields__[name].default:
                text += f"-{short}{value:g}"
        return text + ("" if self.augmentation == "auto" else f"-{self.augmentation}")

    @functools.cached_property
    def cell(self):
        """Names what the run shares with those of other seeds."""
        if not self.is_taught:
            return self.network
        stays = f"-k{self.mentor_epochs}" if self.mentor_epochs else ""
        return f"{self.network}-kd-{self.mentor.cell}-T{self.temperature:g}-a{self.alpha:g}{stays}"

    @functools.cached_property
    def key(self):
        """Name of the folder."""
        return f"{self.cell}-s{self.seed}"

    @functools.cached_property
    def alone(self):
        """The same network, trained on labels alone."""
        return dataclasses.replace(self, variant=self.variant.removesuffix(KD), mentor=None)

    @functools.cached_property
    def baseline(self):
        """The residual network of this depth and width, trained on labels alone, as the paper compares."""
        return dataclasses.replace(self.alone, variant="residual")

    @property
    def needs(self):
        """The run that must be there before, or None."""
        return self.mentor.trained if self.is_taught else None

    @property
    def cost(self):
        """About how much work it is, in no unit: layers times channels, and what each training costs."""
        return (self.depth + 10) * (self.width + 8)

    def describe(self):
        """`{axis: text or number}`: its row of the results, mentor spelled out."""
        mentor = self.mentor
        taught = {"temperature", "alpha", "mentor_epochs"}
        return {
            "variant": self.variant,
            "mentor": mentor.cell if mentor else None,
            "mentor_control": mentor.control if mentor else None,
        } | {
            name: None if name in taught and not mentor else getattr(self, name)
            for name in AXES
            if name != "variant"
        }


@dataclasses.dataclass(frozen=True)
class Mentor:
    """Who teaches.

    Attributes:
      network: the `Run` that trains the mentor, on labels alone.
      control: None, or what is taught instead of its logits, to tell guidance from mere regularisation:
        "smoothing" (labels, smoothed to the mean entropy of the mentor's soft targets), "shuffled" (its
        logits, of a random example of the same class), "untrained" (the logits of such a network before
        any training).

    Raises:
      ValueError: for an unknown control, or a mentor that itself has one.
    """

    network: Run
    control: str | None = None

    def __post_init__(self):
        if self.control is not None:
            _one_of(CONTROLS)("control", self.control)
        if self.network.is_taught:
            raise ValueError(f"mentor must be trained on labels alone. Received: {self.network.cell!r}")

    @property
    def cell(self):
        """Its name in the names of runs."""
        return f"{self.control}-{self.network.network}" if self.control else self.network.network

    @property
    def trained(self):
        """The run that trains it, or None for the control that is not trained."""
        return None if self.control == "untrained" else self.network


@dataclasses.dataclass(frozen=True)
class Record:
    """What became of a run.

    Attributes:
      run: the `Run`.
      result: what it measured: `{"accuracy": ..., ...}`; None if it failed.
      error: why it failed, in one line; None if it did not.
    """

    run: Run
    result: dict | None = None
    error: str | None = None


class Study:
    """The folder of a study: `study.json` says what it is, `runs/` holds a folder for each run.

    Args:
      folder: of the study, which need not exist.
      runs: the `Run`s, mentors included, in the order of training.
      identity: `{name: JSON value}`: what all runs share: data, recipe, versions.
    """

    def __init__(self, folder, runs, identity):
        self.folder = pathlib.Path(folder).absolute()  # as other processes see it
        self.runs = tuple(runs)
        lost = [run.key for run in self.runs if run.needs and run.needs not in self.runs]
        if lost:
            raise ValueError(f"the mentor of {lost[0]} is not among the runs")
        self._identity = json.loads(json.dumps({"study_version": VERSION, **identity}))

    def folder_of(self, run):
        """Where a run's files are."""
        return self.folder / "runs" / run.key

    def begin(self):
        """Writes down what the study is. A study may grow by further runs, and by nothing else.

        Returns:
          Whether it grew, now or before: then its results may have been seen before its size was fixed.

        Raises:
          ValueError: if the folder holds another one; the message says what differs.
        """
        path = self.folder / _STUDY
        keys = [run.key for run in self.runs]
        grew = False
        if path.exists():
            begun = self._begun(path)
            changes = checkpoints.differences(begun["identity"], self._identity)
            gone = sorted(set(begun["runs"]) - set(keys))
            if gone:
                changes = "; ".join(filter(None, (changes, _listed("runs that are not in this grid:", gone))))
            if changes:
                raise ValueError(
                    f"{self.folder} holds another study: {changes}: choose another --out, or pass "
                    f"--overwrite to start anew"
                )
            grew = begun["grew"] or set(keys) != set(begun["runs"])
        storage.write_json({"identity": self._identity, "runs": keys, "grew": grew}, path)
        return grew

    def _begun(self, path):
        try:
            begun = json.loads(path.read_text(encoding="utf-8"))
            return {name: begun[name] for name in ("identity", "runs", "grew")}
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is damaged ({error}), so what the study was is not known: choose another --out, or "
                f"pass --overwrite to start anew"
            ) from error

    def record(self, run):
        """The `Record` of a run that ended, or None. A result that cannot be read is done again."""
        path = self.folder_of(run) / runs.RESULT
        try:
            if path.exists():
                result = json.loads(path.read_text(encoding="utf-8"))
                return Record(run, {**result, "accuracy": float(result["accuracy"])})
        except (ValueError, TypeError, KeyError) as error:
            warnings.warn(f"{path} is damaged ({error}): run again", stacklevel=2)
            path.unlink()
        with contextlib.suppress(ValueError, KeyError, OSError):
            return Record(run, error=json.loads(self._failure(run).read_text(encoding="utf-8"))["error"])
        return None

    def run(self, work, pool, *, retry_failed=False, watch=lambda progress: None):
        """Trains what is not there yet, mentors before those they teach; a run that fails stops no other.

        Args:
          work: `work(run, study_folder)` trains one run and returns its result, or an exception.
          pool: see `pools`.
          retry_failed: whether to try again what failed before.
          watch: is called about once a second with a `Progress`.

        Returns:
          `{run: Record}` in the order of `runs`.
        """
        return _Schedule(self, work, pool, retry_failed, watch).run()

    def record_failure(self, run, error, trace=""):
        """Writes down why a run failed."""
        record = Record(run, error=error)
        storage.write_json({"error": error, "traceback": trace}, self._failure(run))
        return record

    def forget_failure(self, run):
        """So that it is tried again."""
        self._failure(run).unlink(missing_ok=True)

    def _failure(self, run):
        return self.folder / "failed" / f"{run.key}.json"


def execute(work, run, study_folder):
    """Does one run in its folder, alone, unless it is done; what `pool`s are given.

    Args:
      work: see `Study.run`.
      run: a `Run`.
      study_folder: of the study.

    Returns:
      The result, as it stands in `result.json`.
    """
    folder = runs.RunFolder(pathlib.Path(study_folder) / "runs" / run.key, _flags(run))
    with folder.claimed(patience=LOST_WORKER):
        result = folder.result()
        if result is None:
            folder.finish(work(run, pathlib.Path(study_folder)))
            result = folder.result()
        return result


def _flags(run):
    return {name: str(value) for name, value in run.describe().items()}


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a study is.

    Attributes:
      records: `{run: Record}` of what is done.
      running: runs under way, each with its epochs done and its accuracy on validation, or None.
      ended: the `Record`s that came since the last call.
      total: number of runs.
      share: of the work that is done, in [0, 1].
    """

    records: dict
    running: dict
    ended: list
    total: int
    share: float


class _Schedule:
    """Hands runs to a pool as soon as what they need is there."""

    def __init__(self, study, work, pool, retry_failed, watch):
        self._study = study
        self._work = work
        self._pool = pool
        self._watch = watch
        self._attempts = dict.fromkeys(study.runs, 0)
        self._futures = {}
        self._ended = []
        self._records = {}
        for run in study.runs:
            record = study.record(run)
            if record and record.error and retry_failed:
                study.forget_failure(run)
            elif record:
                self._records[run] = record

    def run(self):
        while len(self._records) < len(self._study.runs):
            self._skip()
            self._submit()
            if self._futures:
                done, _ = concurrent.futures.wait(
                    self._futures, timeout=1.0, return_when=concurrent.futures.FIRST_COMPLETED
                )
                self._collect(done)
            self._report()
        self._report()
        return {run: self._records[run] for run in self._study.runs}

    def _skip(self):
        """What a mentor that failed should have taught."""
        for run in self._waiting():
            mentor = self._records.get(run.needs)
            if mentor is not None and mentor.error:
                self._end(self._study.record_failure(run, f"its mentor {run.needs.key} failed"))

    def _waiting(self):
        under_way = set(self._futures.values())
        return [run for run in self._study.runs if run not in self._records and run not in under_way]

    def _submit(self):
        for run in self._waiting():
            if len(self._futures) >= self._pool.slots:
                return
            if run.needs is None or run.needs in self._records:
                self._attempts[run] += 1
                future = self._pool.submit(execute, self._work, run, self._study.folder)
                self._futures[future] = run

    def _collect(self, done):
        for future in done:
            run = self._futures.pop(future)
            try:
                self._end(Record(run, future.result()))
            except (concurrent.futures.BrokenExecutor, concurrent.futures.CancelledError) as error:
                if self._attempts[run] >= ATTEMPTS:
                    reason = f"its process died {ATTEMPTS} times ({error})"
                    self._end(self._study.record_failure(run, reason))
            except Exception as error:
                # Whatever goes wrong in one run must not stop the others.
                error = getattr(error, "cause", None) or error  # Ray's are the whole remote traceback
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                trace = "".join(traceback.format_exception(error))
                self._end(self._study.record_failure(run, reason, trace))

    def _end(self, record):
        self._records[record.run] = record
        self._ended.append(record)

    def _report(self):
        running = {run: last_epoch(self._study.folder_of(run)) for run in self._futures.values()}
        costs = {run: run.cost for run in self._study.runs}
        done = sum(costs[run] for run in self._records)
        done += sum(costs[run] * epoch.share for run, epoch in running.items() if epoch)
        ended, self._ended = self._ended, []
        self._watch(
            Progress(self._records, running, ended, len(costs), done / sum(costs.values()) if costs else 1.0)
        )


@dataclasses.dataclass(frozen=True)
class Epoch:
    """How far a run has come: epochs `done` of `total`, and the accuracy on validation."""

    done: int
    total: int
    accuracy: float

    @property
    def share(self):
        return self.done / self.total


def last_epoch(folder):
    """The `Epoch` that the last line of a run's `log.txt` tells, or None."""
    try:
        lines = (folder / "log.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = re.search(r"epoch (\d+)/(\d+) ", lines[-1]) if lines else None
    accuracy = re.search(r"val_accuracy=(\S+)", lines[-1]) if lines else None
    if not found:
        return None
    return Epoch(int(found[1]), int(found[2]), float(accuracy[1]) if accuracy else math.nan)


def _listed(title, names, most=3):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{title} {', '.join(names[:most])}{more}"
