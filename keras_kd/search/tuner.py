"""Temperature and alpha found by keras-tuner: what a trial builds, how it is trained, what it leaves.

    model = DistillationHyperModel(SearchSpace(), dataset, settings, student, teacher)
    oracle = make_oracle("bayesian", model.space, trials=20, objective="accuracy", path="search.json")
    tuner = Tuner(oracle, model, folder, seeds=[0, 1, 2])
    tuner.search()
    best_trial(tuner.records(), epochs=60, direction="max")

A trial is trained by `trainer.distill`, once a seed, and resumes as every run does. It is judged by the mean
over its seeds of a validation measure after the epoch whose weights are kept; test is never looked at.
"""

import contextlib
import pathlib
import statistics
import time

import keras
import keras_tuner
from keras_tuner.engine.trial import TrialStatus

from keras_kd.search import hypermodel, loss_choices, oracles
from keras_kd.search.results import TrialRecord
from keras_kd.training import callbacks
from keras_kd.utils import files, locks, progress, run_dir


class _EndedError(keras_tuner.errors.FatalError):
    """Wraps what ends the search, which keras-tuner would take for a failure of the trial."""


# What is no fault of a trial: a signal, a full disk.
_ENDING = (callbacks.TrainingInterruptedError, OSError, MemoryError)


# Where keras-tuner gives none: a reason does not come from worker to chief.
_NO_REASON = "its worker left no reason"


class Tuner(keras_tuner.Tuner):
    """Runs trials: several seeds each, in a folder of its own, going on from checkpoints.

    A trial that Hyperband promotes goes on in the folder of the one that it continues.

    Args:
      oracle: of `oracles`.
      model: a `hypermodel.DistillationHyperModel`.
      folder: of the search.
      seeds: of the students of each trial.
      callbacks: of the trainings; no state of theirs is kept.
      watch: called with a `TrialRecord` when a trial of this process has ended.
      on_epoch: called after each epoch with the trial's id, how many of its seeds are done, and the epochs
        done and to do of the next.

    Attributes:
      trial: id of the trial that runs now, or None.
    """

    def __init__(self, oracle, model, folder, seeds, callbacks=(), watch=None, on_epoch=None):
        # The oracle knows the space: keras-tuner need not build a network to learn it.
        super().__init__(oracle, directory=str(folder), project_name=oracles.PROJECT)
        self.hypermodel = model
        self._kept = oracle
        self._folder = pathlib.Path(folder)
        self._seeds = list(seeds)
        self._callbacks = tuple(callbacks)
        self._watch = watch
        self._on_epoch = on_epoch
        self._waits = self._failed = False
        self.trial = None

    def search(self):
        """Runs trials until none is left, here or, with a chief, for it.

        Raises:
          TrainingInterruptedError, OSError: if a signal or a full disk ended it.
        """
        try:
            super().search()
        except _EndedError as error:
            raise error.__cause__ from None

    def save(self):
        """keras-tuner's own file of the tuner says nothing; the oracle writes its own."""
        if self.oracle is self._kept:  # a worker has the chief's by wire
            self._kept.save()

    def pre_create_trial(self):
        """Where there was nothing to do, a moment later there may be."""
        if self._waits:
            time.sleep(IDLE_SECONDS)
        self._waits = True
        for callback in self._callbacks:
            if isinstance(callback, callbacks.StopOnSignal):
                callback.check("this search unfinished")

    def on_trial_begin(self, trial):
        self._waits = self._failed = False
        self.trial = trial.trial_id

    def on_trial_end(self, trial):
        if self._failed:
            trial.status = TrialStatus.FAILED
        super().on_trial_end(trial)
        self.trial = None
        if self._watch:
            self._watch(self.record(trial))

    def run_trial(self, trial):
        """Trains a trial's students; `{objective: mean over the seeds}`."""
        hp = trial.hyperparameters.copy()  # the trial's own goes to the chief without a space
        values = self.hypermodel.space.declare(hp)
        epochs = hp.values.get("tuner/epochs", self.hypermodel.settings.epochs)
        about = {"trial": trial.trial_id, "values": values, "epochs": epochs}
        try:
            about |= self._outcome(hp, values, epochs, self._root(trial))
            files.write_json(about, self._path(trial.trial_id))
        except _ENDING as error:
            raise _EndedError from error
        objective = self.oracle.objective.name
        self._failed = "error" in about
        return {objective: 0.0 if self._failed else statistics.fmean(about["measures"][objective])}

    def _outcome(self, hp, values, epochs, root):
        """What became of a trial: its measures, or the error, which keras-tuner would print at length."""
        began = time.monotonic()
        with progress.noted() as notes:
            try:
                measured, folder = self._train(hp, values, epochs, root)
            except _ENDING:
                raise
            except Exception as error:
                return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}", "notes": notes}
        measures = {name: [each[name] for each in measured] for name in hypermodel.MEASURES}
        seconds = time.monotonic() - began
        return {"measures": measures, "seconds": seconds, "folder": folder.name, "notes": notes}

    def _train(self, hp, values, epochs, root):
        """The measures of each seed, and the folder in which it was trained."""
        measured = []
        with self._place(root, values) as folder, progress.silence():
            for trained, seed in enumerate(self._seeds):
                keras.backend.clear_session()
                distiller = self.hypermodel.build(hp, seed)
                measured.append(
                    self.hypermodel.fit(
                        hp,
                        distiller,
                        seed=seed,
                        epochs=epochs,
                        folder=folder / f"seed-{seed}",
                        callbacks=self._callbacks,
                        on_epoch=self._counting(trained, epochs),
                    )
                )
        return measured, folder

    def _counting(self, trained, epochs):
        """Tells each epoch of a seed after so many others; None where nobody is told."""
        if self._on_epoch is None:
            return None
        return lambda epoch: self._on_epoch(self.trial, trained, epoch, epochs)

    @contextlib.contextmanager
    def _place(self, root, values):
        """The folder of a trial, this process's own.

        A worker that was given up may still be alive in it: the trial then begins again beside it.

        Raises:
          InUseError: if other processes have both places.
          ValueError: if the folder belongs to something else, or cannot be made.
        """
        flags = {name: str(value) for name, value in loss_choices.without_options(values).items()}
        with contextlib.ExitStack() as stack:
            for path in (self.trial_folder(root), self.trial_folder(f"{root}-{self.tuner_id}")):
                try:
                    folder = run_dir.RunDir(path, flags)
                    stack.enter_context(folder.claimed())
                    break
                except locks.InUseError as error:
                    in_use = error
            else:
                raise in_use
            yield folder.path

    def _root(self, trial):
        """The id of the trial that a promoted one goes on from, and that one from, to the first."""
        while parent := trial.hyperparameters.values.get("tuner/trial_id"):
            trial = self.oracle.get_trial(parent)
        return trial.trial_id

    def trial_folder(self, root):
        """Where a trial that was not promoted is trained, and those that go on from it."""
        return self._folder / "trials" / root

    def folder_of(self, trial_id):
        """Where a trial was trained."""
        name = self._found(trial_id).get("folder")
        return self.trial_folder(name or self._root(self._kept.trials[trial_id]))

    def _path(self, trial_id):
        return self._folder / "results" / f"{trial_id}.json"

    def _found(self, trial_id):
        """What the process that trained a trial left of it; nothing of one that has not ended."""
        path = self._path(trial_id)
        return files.read_json(path) if path.is_file() else {}

    def load_model(self, trial):
        """The `Distiller` of a trial with the student as its training left it, of the first seed."""
        seed = self._seeds[0]
        hp = trial.hyperparameters.copy()
        distiller = self.hypermodel.build(hp, seed)
        self.hypermodel.fit(
            hp,
            distiller,
            seed=seed,
            folder=self.folder_of(trial.trial_id) / f"seed-{seed}",
            epochs=hp.values.get("tuner/epochs"),
            callbacks=self._callbacks,
        )
        return distiller

    def record(self, trial):
        """The `TrialRecord` of a trial."""
        found = self._found(trial.trial_id)
        values = self.hypermodel.space.declare(trial.hyperparameters.copy())
        epochs = trial.hyperparameters.values.get("tuner/epochs", self.hypermodel.settings.epochs)
        return TrialRecord(
            trial.trial_id,
            values,
            trial.status,
            epochs,
            score=self._score(trial, found) if trial.status == "COMPLETED" else None,
            measures=found.get("measures", {}),
            seconds=found.get("seconds"),
            error=found.get("error") or trial.message or _NO_REASON if trial.status == "FAILED" else None,
            folder=found.get("folder"),
            notes=tuple(found.get("notes", ())),
        )

    def _score(self, trial, found):
        """The chief's score, or what it will be: workers' copies of a trial have none."""
        if trial.score is not None:
            return trial.score
        return statistics.fmean(found["measures"][self.oracle.objective.name])

    def records(self):
        """The `TrialRecord` of each trial, in the order in which they began."""
        return [self.record(self._kept.trials[trial_id]) for trial_id in self._kept.start_order]


IDLE_SECONDS = 0.5


def best_trial(records, epochs, direction):
    """The `TrialRecord` with the best score of those trained to the end, the first of equals, or None.

    Args:
      records: of `Tuner.records`.
      epochs: of a training to the end.
      direction: "max" or "min".
    """
    whole = [record for record in records if record.status == "COMPLETED" and record.epochs == epochs]
    sign = -1 if direction == "max" else 1
    return min(whole, key=lambda record: (sign * record.score, record.trial), default=None)
