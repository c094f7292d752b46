"""What the best of many trials gains, with an interval in which the choice among them is counted.

The best of many noisy scores is lucky, and an interval made from its own seeds alone does not know that.
"""

import dataclasses
import math

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class SelectedGain:
    """The accuracy of the chosen setting minus that of the default one, on validation.

    Attributes:
      mean: over seeds.
      low, high: ends of its 95 % interval; None for one seed.
      seeds: their number.
      chosen_from: the number of trials that had a score.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    chosen_from: int

    @property
    def is_luck(self):
        """Whether 0 lies in the interval; None without one."""
        return None if self.low is None else self.low <= 0 <= self.high


def selected_gain(chosen, default, trials, chosen_from, resolution=0.0, confidence=0.95):
    """The `SelectedGain` of the best trial.

    The interval covers the gain of whichever trial is chosen, by Bonferroni's correction over all of them
    (Dunnett's comparison with a control, without its tables). What seeds do is estimated from all trials that
    were trained to the end and the default, seeds being blocks: they share initial weights and batches.

    Args:
      chosen, default: accuracies `[seeds]`, paired by seed.
      trials: those of all trials trained to the end, `[trials, seeds]`, the chosen one among them.
      chosen_from: the number of trials with a score, those that were not trained to the end included.
      resolution: the least standard deviation over seeds that is believed in.
      confidence: of the interval.

    Assumes that seeds do as much to each setting and near enough to normal.

    Source: Dunnett 1955, Journal of the American Statistical Association 50, 1096-1121.
    """
    rows = np.array([*trials, default], np.float64)
    count, seeds = rows.shape
    mean = float(np.mean(chosen) - np.mean(default))
    if seeds < 2:
        return SelectedGain(mean, None, None, seeds, chosen_from)
    rest = rows - rows.mean(axis=1, keepdims=True) - rows.mean(axis=0) + rows.mean()
    freedom = (count - 1) * (seeds - 1)
    deviation = max(math.sqrt(np.sum(rest**2) / freedom), resolution)
    level = (1 - confidence) / max(chosen_from, 1)
    half = float(stats.t.isf(level / 2, freedom)) * deviation * math.sqrt(2 / seeds)
    return SelectedGain(mean, mean - half, mean + half, seeds, chosen_from)
