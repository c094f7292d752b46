"""Who says what is tried next: keras-tuner's oracles, kept whole in one file and patient with lost workers.

    oracle = make_oracle("random", space, trials=8, objective="accuracy", path="search.json", seed=0)
    if oracle.path.exists():
        oracle.reload()

What keras-tuner 1.4.8 keeps is not enough to go on from: its files are not written atomically, a trial that
has just ended is run again, its grid forgets where it was, and its Bayesian oracle draws other random numbers
after a restart. Here the state is one file, replaced atomically, and what comes next depends on it alone.
"""

import pathlib
import sys
import tempfile
import time
import warnings

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from sklearn.exceptions import ConvergenceWarning

from keras_kd.search.config import TUNERS
from keras_kd.utils import files, limits
from keras_kd.utils.identity import NothingLeftError

# How often a trial is given to another worker when its own is lost.
LOST_RETRIES = 3

OBJECTIVES = {
    "accuracy": ("val_accuracy", "max"),
    # Of the labels alone: the loss of a Distiller depends on temperature and alpha, and cannot compare them.
    "loss": ("val_hard_loss", "min"),
}


class _Kept:
    """What ours add to any `keras_tuner.Oracle`.

    Args:
      path: of the file that holds the state.
      **options: of the oracle.

    Attributes:
      path: see above.
      ready: whether trials may begin; until then workers wait.
      exhausted: whether a worker was told that nothing is left.
      heard: `{tuner id: seconds of the monotonic clock}` when a worker was heard of last.
    """

    def __init__(self, path, **options):
        super().__init__(
            max_retries_per_trial=LOST_RETRIES,
            max_consecutive_failed_trials=sys.maxsize,  # it would raise under a lock, which stays locked
            **options,
        )
        self.path = pathlib.Path(path)
        self.verbose = 0
        self.ready = True
        self.exhausted = False
        self.heard = {}

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        """As `keras_tuner.Oracle.create_trial`; nobody is sent home while others may still be lost."""
        self.heard[tuner_id] = time.monotonic()
        if not self.ready:
            return Trial(keras_tuner.HyperParameters(), "", TrialStatus.IDLE)
        trial = _without_space(super().create_trial(tuner_id))
        if trial.status == TrialStatus.STOPPED and self.ongoing_trials:
            trial.status = TrialStatus.IDLE
            self.tuner_ids.add(tuner_id)
        elif trial.status == TrialStatus.STOPPED:
            self.exhausted = True
            self.heard.pop(tuner_id)
        return trial

    def get_trial(self, trial_id):
        """As `keras_tuner.Oracle.get_trial`; a worker that asks for its own trial is alive."""
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.trial_id == trial_id:
                self.heard[tuner_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def lose(self, tuner_id):
        """Gives up a worker: its trial goes to another one. Returns the trial's id, or None."""
        self.heard.pop(tuner_id, None)
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.get(tuner_id)
        if trial is None:
            return None
        lost = Trial(trial.hyperparameters, trial.trial_id, TrialStatus.INVALID)
        lost.message = f"its workers were lost, {LOST_RETRIES + 1} times"
        self.end_trial(lost)
        return trial.trial_id

    def save(self):
        """Writes state and trials, atomically."""
        trials = {trial_id: trial.get_state() for trial_id, trial in self.trials.items()}
        files.write_json({"state": self.get_state(), "trials": trials}, self.path)

    def reload(self):
        """Takes up what an earlier process left; what it had not finished is run first.

        Raises:
          ValueError: if the file is not what was written.
        """
        try:
            kept = files.read_json(self.path)
            self.trials = {
                name: _without_space(Trial.from_state(state)) for name, state in kept["trials"].items()
            }
            state = kept["state"]
            running = [
                trial_id
                for trial_id in state["ongoing_trials"].values()
                if self.trials[trial_id].status == TrialStatus.RUNNING
            ]
            self._again(running)
            queue = state["retry_queue"] + running
            self.set_state(state | {"ongoing_trials": {}, "retry_queue": queue})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = error.reason if isinstance(error, files.DamagedFileError) else repr(error)
            raise NothingLeftError(f"{self.path} is damaged ({reason}): start anew") from error

    def retry_failed(self):
        """Puts the trials that failed back among those to do; returns their ids."""
        failed = [name for name, trial in self.trials.items() if trial.status == TrialStatus.FAILED]
        self._again(failed)
        state = self.get_state()
        self.set_state(
            state
            | {
                "retry_queue": state["retry_queue"] + failed,
                "end_order": [name for name in state["end_order"] if name not in failed],
                "run_times": {name: n for name, n in state["run_times"].items() if name not in failed},
            }
        )
        self.save()
        return failed

    def _again(self, names):
        """Trials as they were before anything was measured: a second measure would not replace the first."""
        for name in names:
            self.trials[name] = Trial(self.trials[name].hyperparameters, name)


def _without_space(trial):
    """A trial with its values alone: tuners know the space; keras-tuner prints conditions that it sends."""
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = trial.hyperparameters.values
    trial.hyperparameters = hyperparameters
    return trial


class RandomSearch(_Kept, keras_tuner.oracles.RandomSearchOracle):
    """keras-tuner's random search."""


class Hyperband(_Kept, keras_tuner.oracles.HyperbandOracle):
    """keras-tuner's Hyperband (Li et al. 2018, arXiv:1603.06560)."""


class BayesianOptimization(_Kept, keras_tuner.oracles.BayesianOptimizationOracle):
    """keras-tuner's Gaussian process, with random numbers that depend on the number of the trial alone."""

    def populate_space(self, trial_id):
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])  # is in no state
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a flat fit is no fault of the user
            return super().populate_space(trial_id)


class Grid(_Kept, keras_tuner.Oracle):
    """The points of a grid, one after the other.

    keras-tuner's own oracle knows its place by a list that is not saved, and with fewer trials than points
    sees one corner of the space alone.

    Args:
      points: `[{name: value}]`, in order.
    """

    def __init__(self, points, **options):
        super().__init__(**options, max_trials=len(points))
        self._points = points

    def populate_space(self, trial_id):
        return {"status": TrialStatus.RUNNING, "values": dict(self._points[len(self.trials)])}


PROJECT = "keras_tuner"  # folder of what keras-tuner writes and nobody here reads


def make_oracle(tuner, space, *, trials, objective, path, seed=0, epochs=1, factor=3):
    """The oracle of a search.

    Args:
      tuner: one of `TUNERS`.
      space: a `space.SearchSpace`.
      trials: how many; a grid has as many as fit, Hyperband at most so many, or all if 0.
      objective: one of `OBJECTIVES`.
      path: of the file that holds its state.
      seed: of its random numbers, >= 0.
      epochs: of a trial that is trained to the end, for Hyperband.
      factor: by which Hyperband thins out its trials in each round.

    Raises:
      ValueError: for an unknown tuner or objective, or a number out of range.
    """
    for name, value, choices in (("tuner", tuner, TUNERS), ("objective", objective, OBJECTIVES)):
        limits.check_choice(name, value, choices)
    if trials < (0 if tuner == "hyperband" else 1):
        raise ValueError(f"at least one trial is needed. Received: trials={trials}")
    if factor < 2:
        raise ValueError(f"Hyperband's factor must be at least 2. Received: factor={factor}")
    hyperparameters = keras_tuner.HyperParameters()
    space.declare(hyperparameters)
    options = {
        "path": path,
        "objective": keras_tuner.Objective(*OBJECTIVES[objective]),
        "hyperparameters": hyperparameters,
        "seed": seed + 1,  # keras-tuner takes 0 for "any"
    }
    if tuner == "grid":
        oracle = Grid(space.grid(trials), **options)
    elif tuner == "hyperband":
        oracle = Hyperband(max_epochs=epochs, factor=factor, **options)
        oracle.max_trials = trials or None
    else:
        kind = RandomSearch if tuner == "random" else BayesianOptimization
        oracle = kind(max_trials=trials, **options)
    # Only a tuner tells an oracle where keras-tuner's own files go.
    keras_tuner.engine.base_tuner.BaseTuner(oracle, directory=str(oracle.path.parent), project_name=PROJECT)
    return oracle


def plan(tuner, space, *, trials, epochs, **options):
    """The epochs of each trial in order, as far as trials do not fail: what `make_oracle` would hand out.

    Raises:
      ValueError: see `make_oracle`; and if so few of Hyperband's trials leave none that is trained to the
        end.
    """
    if tuner != "hyperband":
        with tempfile.TemporaryDirectory() as folder:
            oracle = make_oracle(
                tuner, space, trials=trials, epochs=epochs, path=f"{folder}/plan.json", **options
            )
        return [epochs] * oracle.max_trials
    found = _rehearsed(space, trials, epochs, options)
    if epochs not in found:
        needed = _rehearsed(space, 0, epochs, options).index(epochs) + 1
        raise ValueError(
            f"the first of Hyperband's trials that is trained to the end is number {needed}: ask for as "
            f"many, or for 0, which is all. Received: trials={trials}"
        )
    return found


def _rehearsed(space, trials, epochs, options):
    """The epochs of Hyperband's trials, found by ending each at once."""
    with tempfile.TemporaryDirectory() as folder:
        oracle = make_oracle(
            "hyperband", space, trials=trials, epochs=epochs, path=f"{folder}/plan.json", **options
        )
        found = []
        while (trial := oracle.create_trial("plan")).status == TrialStatus.RUNNING:
            found.append(trial.hyperparameters.values["tuner/epochs"])
            oracle.update_trial(trial.trial_id, {oracle.objective.name: float(len(found))})
            trial.status = TrialStatus.COMPLETED
            oracle.end_trial(trial)
        return found
