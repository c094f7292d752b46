"""A study: its runs, each trained once, in a folder of its own, and kept.

    study = Study("runs/study-depth", config.runs, identity)
    study.begin()
    with processes.ProcessExecutor(jobs=2) as executor:
        records = study.run(train, executor)

How a run is trained is not known here: `train(run, study_folder)` is given.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import pathlib
import traceback
import warnings

from keras_kd.distillation import recipes
from keras_kd.study import design, network_files, run_folders
from keras_kd.study.run_result import RunResult
from keras_kd.training import epoch_log
from keras_kd.utils import files, identity, run_dir

# So often a run is begun again whose process was killed by something else.
ATTEMPTS = 3


# Seconds that a lost worker may take to end, once its run was begun again elsewhere.
LOST_WORKER = 60.0

VERSION = 3  # of what a run's folder holds and how it is trained

STUDY = "study.json"


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """What became of a run.

    Attributes:
      run: the `Run`.
      result: its `RunResult`; None if it failed.
      error: why it failed, in one line; None if it did not.
    """

    run: design.Run
    result: RunResult | None = None
    error: str | None = None


class Study:
    """The folder of a study: `study.json` says what it is, `runs/` holds a folder for each run.

    Args:
      folder: of the study, which need not exist.
      runs: the `Run`s, teachers included, in the order of training.
      identity: `{name: JSON value}`: what all runs share: data, recipe, versions.
      files: what the networks in files are that some take, see `network_files.digests`; None: nothing.

    Attributes:
      folder, runs, identity, files: these; the folder as other processes find it, the identity as in JSON.
    """

    def __init__(self, folder, runs, identity, files=None):
        self.folder = pathlib.Path(folder).absolute()  # as other processes see it
        self.runs = tuple(runs)
        there = set(self.runs)
        lost = [run.key for run in self.runs if run.needs and run.needs not in there]
        if lost:
            raise ValueError(f"the teacher of {lost[0]} is not among the runs")
        run_folders.check(self.runs)
        self.identity = json.loads(json.dumps({"study_version": VERSION, **identity}))
        self.files = files or {}

    def folder_of(self, run):
        """Where a run's files are."""
        return run_folders.path(self.folder, run.key)

    def begin(self):
        """Writes down what the study is. A study may grow by further runs, and by nothing else.

        Returns:
          Whether it grew, now or before: then its results may have been seen before its size was fixed.

        Raises:
          ValueError: if the folder holds another one; the message says what differs.
        """
        path = self.folder / STUDY
        keys = [run.key for run in self.runs]
        grew, known = False, {}
        if path.exists():
            begun = self._begun(path)
            known = begun.get("files", {})
            self._check_same(begun, known, keys)
            grew = begun["grew"] or set(keys) != set(begun["runs"])
        told = {"identity": self.identity, "runs": keys, "grew": grew}
        if self.files:
            told["files"] = known | self.files
        files.write_json(told, path)
        return grew

    def _check_same(self, begun, known, keys):
        """Raises an `IdentityMismatchError` if what was begun is another study."""
        gone = sorted(set(begun["runs"]) - set(keys))
        changes = (
            identity.differences(begun["identity"], self.identity),
            network_files.changes(known, self.files),
            _listed("runs that are not in this study:", gone) if gone else "",
        )
        if any(changes):
            told = "; ".join(filter(None, changes))
            raise identity.IdentityMismatchError(self.folder, told, "holds another study")

    def _begun(self, path):
        try:
            return files.read_json(path, ("identity", "runs", "grew"))
        except files.DamagedFileError as error:
            raise ValueError(f"{error}; what the study was is not known without it") from error

    def record(self, run):
        """The `RunRecord` of a run that ended, or None. A result that cannot be read is done again."""
        path = self.folder_of(run) / run_dir.RESULT
        try:
            if path.exists():
                with files.interpreting(path):
                    return RunRecord(run, RunResult.from_json(files.read_json(path)))
        except files.DamagedFileError as error:
            warnings.warn(f"{path} is damaged ({error.reason}): run again", stacklevel=2)
            path.unlink()
        with contextlib.suppress(ValueError, KeyError, OSError):
            return RunRecord(run, error=files.read_json(self._failure(run))["error"])
        return None

    def run(self, train, executor, *, retry_failed=False, watch=lambda progress: None):
        """Trains what is not there yet, teachers before those they teach; a run that fails stops no other.

        Args:
          train: `train(run, study_folder)` trains one run and returns its `RunResult`.
          executor: a `processes.ProcessExecutor` or `executors.RayExecutor`, or what submits as they do.
          retry_failed: whether to try again what failed before.
          watch: is called about once a second with a `Progress`.

        Returns:
          `{run: RunRecord}` in the order of `runs`.
        """
        return _Schedule(self, train, executor, retry_failed, watch).run()

    def record_failure(self, run, error, trace=""):
        """Writes down why a run failed."""
        record = RunRecord(run, error=error)
        files.write_json({"error": error, "traceback": trace}, self._failure(run))
        return record

    def forget_failure(self, run):
        """So that it is tried again."""
        self._failure(run).unlink(missing_ok=True)

    def _failure(self, run):
        return self.folder / "failed" / f"{run.key}.json"


def execute(train, run, study_folder):
    """Does one run in its folder, alone, unless it is done; what executors are given.

    Args:
      train: see `Study.run`.
      run: a `Run`.
      study_folder: of the study.

    Returns:
      The `RunResult`, as it stands in `result.json`.
    """
    folder = run_folder(run_folders.path(pathlib.Path(study_folder), run.key), run)
    with folder.claimed(patience=LOST_WORKER):
        result = folder.result()
        if result is None:
            folder.finish(train(run, pathlib.Path(study_folder)).to_json())
            result = folder.result()
        return RunResult.from_json(result)


def run_folder(path, run):
    """The `run_dir.RunDir` of a run; earlier versions wrote no loss down."""
    told = {name: str(value) for name, value in run.describe().items()}
    loss = recipes.KD if run.is_taught else None
    return run_dir.RunDir(path, told, defaults={design.DISTILLATION_LOSS: str(loss)})


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a study is.

    Attributes:
      records: `{run: RunRecord}` of what is done.
      running: runs under way, each with its epochs done and its accuracy on validation, or None.
      ended: the `RunRecord`s that came since the last call.
      total: number of runs.
      share: of the work that is done, in [0, 1].
    """

    records: dict
    running: dict
    ended: list
    total: int
    share: float


class _Schedule:
    """Hands runs to an executor as soon as what they need is there."""

    def __init__(self, study, train, executor, retry_failed, watch):
        self._study = study
        self._train = train
        self._executor = executor
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
        """What a teacher that failed should have taught."""
        for run in self._waiting():
            teacher = self._records.get(run.needs)
            if teacher is not None and teacher.error:
                self._end(self._study.record_failure(run, f"its teacher {run.needs.key} failed"))

    def _waiting(self):
        under_way = set(self._futures.values())
        return [run for run in self._study.runs if run not in self._records and run not in under_way]

    def _submit(self):
        for run in self._waiting():
            if len(self._futures) >= self._executor.slots:
                return
            if run.needs is None or run.needs in self._records:
                self._attempts[run] += 1
                future = self._executor.submit(execute, self._train, run, self._study.folder)
                self._futures[future] = run

    def _collect(self, done):
        for future in done:
            run = self._futures.pop(future)
            try:
                self._end(RunRecord(run, future.result()))
            except (concurrent.futures.BrokenExecutor, concurrent.futures.CancelledError) as error:
                if self._attempts[run] >= ATTEMPTS:
                    reason = f"its process died {ATTEMPTS} times ({error})"
                    self._end(self._study.record_failure(run, reason))
            except Exception as error:  # whatever goes wrong in one run must not stop the others
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                trace = "".join(traceback.format_exception(error))
                self._end(self._study.record_failure(run, reason, trace))

    def _end(self, record):
        self._records[record.run] = record
        self._ended.append(record)

    def _report(self):
        running = {run: epoch_log.last_epoch(self._study.folder_of(run)) for run in self._futures.values()}
        costs = {run: run.cost for run in self._study.runs}
        done = sum(costs[run] for run in self._records)
        done += sum(costs[run] * epoch.share for run, epoch in running.items() if epoch)
        ended, self._ended = self._ended, []
        self._watch(
            Progress(self._records, running, ended, len(costs), done / sum(costs.values()) if costs else 1.0)
        )


def _listed(title, names, most=3):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{title} {', '.join(names[:most])}{more}"
