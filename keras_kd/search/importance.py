"""Which hyperparameters the trials' scores depend on."""

import dataclasses
import itertools
import statistics

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from keras_kd.search import loss_choices, space

# With fewer trials a forest has nothing to say.
FEWEST_TRIALS = 10

TREES = 300

REPEATS = 30


@dataclasses.dataclass(frozen=True)
class Importance:
    """How much each hyperparameter matters.

    Attributes:
      names: of those that varied.
      means, deviations: R² of a random forest that is lost when the values of each are shuffled.
      r2: that of the forest, on trials that its trees have not seen.
    """

    names: list
    means: list
    deviations: list
    r2: float


def importance(trials):
    """How much each hyperparameter matters; None with too few trials, or where nothing differs.

    The forest is asked about the trials that it was fitted on, so what it loses by shuffling is how much it
    uses a hyperparameter; `r2` says whether what it learnt holds for trials that it has not seen.

    Args:
      trials: `results.TrialRecord`s with a score.

    Returns:
      An `Importance`.

    Source: after Breiman 2001, "Random forests", section 10, which shuffles out-of-bag values.
    """
    columns = _columns(trials)
    if len(trials) < FEWEST_TRIALS or not columns:
        return None
    values = np.column_stack(list(columns.values()))
    scores = np.array([trial.score for trial in trials])
    if np.ptp(scores) == 0:
        return None
    forest = RandomForestRegressor(TREES, oob_score=True, random_state=0).fit(values, scores)
    lost = permutation_importance(forest, values, scores, n_repeats=REPEATS, random_state=0)
    return Importance(
        names=list(columns),
        means=lost.importances_mean.tolist(),
        deviations=lost.importances_std.tolist(),
        r2=float(forest.oob_score_),
    )


def _columns(trials):
    """`{name: [number per trial]}` of what varied; what was chosen by its place in the order of names.

    The searched options of a loss have columns of their own; trials of other losses have their median there.
    """
    settings = [trial.values | {"epochs": trial.epochs} for trial in trials]
    settings = [each | {"loss": loss_choices.kind_of(each)} if "loss" in each else each for each in settings]
    found = {}
    for name in dict.fromkeys([*space.TITLES, *itertools.chain(*settings)]):
        column = [setting.get(name) for setting in settings]
        if len(set(column) - {None}) < 2:
            continue
        if name in space.CHOSEN:
            column = [sorted(set(column)).index(value) for value in column]
        elif None in column:
            median = statistics.median(value for value in column if value is not None)
            column = [median if value is None else value for value in column]
        found[name] = np.log(column) if name in space.LOGARITHMIC else np.array(column, float)
    return found
