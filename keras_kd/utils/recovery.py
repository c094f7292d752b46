"""Drop, gain and recovery: what the shortcuts are worth, what the teacher is, and how much of it comes back.

There is one rule for all that tell a recovery: it is defined where the interval of the drop lies above 0, and
stands with an interval of its own. `over_seeds` holds for trainings, `over_images` for the networks of one.
"""

import dataclasses
import itertools
import math

import numpy as np
from scipy import stats

from keras_kd.utils import statistics
from keras_kd.utils.statistics import Estimate


@dataclasses.dataclass(frozen=True)
class Recovery:
    """The share of a drop that a teacher brings back.

    Attributes:
      ratio: mean gain / mean drop; NaN where the drop is not distinguishable from zero.
      low, high: ends of its interval; NaN likewise.
      drop, gain: `Estimate`s.
    """

    ratio: float
    low: float
    high: float
    drop: Estimate
    gain: Estimate

    @property
    def is_defined(self):
        """Whether there is a drop to recover from: its interval lies above zero."""
        return not math.isnan(self.ratio)


def drop(residual, plain):
    """What the shortcuts are worth: accuracy of residual(d) minus accuracy of plain(d)."""
    return residual - plain


def gain(taught, alone):
    """What the teacher is worth: accuracy of the student taught minus that of the student alone."""
    return taught - alone


def over_seeds(residual, plain, taught, confidence=0.95, resolution=0.0):
    """Drop, gain and recovery of means over seeds.

    Args:
      residual, plain, taught: accuracies `[n]`, paired by seed.
      confidence: of the intervals.
      resolution: as for `statistics.estimate`.

    Returns:
      A `Recovery`; see `ratio_interval`.
    """
    residual, plain, taught = (np.asarray(values, np.float64) for values in (residual, plain, taught))
    differences = drop(residual, plain), gain(taught, plain)
    estimates = [statistics.estimate(values, confidence, resolution) for values in differences]
    count = len(plain)
    if count < 2:
        return Recovery(math.nan, math.nan, math.nan, *estimates)
    covariance = np.cov(differences, ddof=1)
    np.fill_diagonal(covariance, np.maximum(np.diagonal(covariance), resolution**2))
    means = [each.mean for each in estimates]
    ends = ratio_interval(means, covariance / count, confidence, count - 1)
    return _recovery(ends, *estimates)


def over_images(residual, plain, taught, confidence=0.95):
    """Drop, gain and recovery of three networks, over the images that they were measured on.

    What another seed of the training would change is not part of these intervals.

    Args:
      residual, plain, taught: whether each classifies each image right, bool `[n]`.
      confidence: of the intervals.

    Returns:
      A `Recovery`; see `ratio_interval`. Its Estimates have the measured means; to their intervals each of
      the eight patterns of right and wrong adds a quarter of an image, as Student's are too narrow where the
      networks differ in few images.

    Source: Agresti & Min 2005, Statistics in Medicine 24, 729-740 (half an image for each of four patterns).
    """
    right = np.stack([np.asarray(values, bool) for values in (residual, plain, taught)])
    patterns = np.array(list(itertools.product((False, True), repeat=len(right)))).T
    images = np.concatenate([right, patterns], axis=1).astype(np.float64)
    weights = np.concatenate([np.ones(right.shape[1]), np.full(patterns.shape[1], _PATTERN_WEIGHT)])
    differences = np.stack([drop(images[0], images[1]), gain(images[2], images[1])])
    freedom = weights.sum() - 1
    means = differences @ weights / weights.sum()
    covariance = np.cov(differences, aweights=weights, ddof=0) / freedom
    reach = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(np.diagonal(covariance))
    estimates = [
        dataclasses.replace(statistics.estimate(measured[: right.shape[1]]), low=float(low), high=float(high))
        for measured, low, high in zip(differences, means - reach, means + reach, strict=True)
    ]
    return _recovery(ratio_interval(means, covariance, confidence, freedom), *estimates)


# Images that each pattern of right and wrong is worth beside the measured ones.
_PATTERN_WEIGHT = 1 / 4


def _recovery(ends, drop, gain):
    ratio = math.nan if math.isnan(ends[0]) else gain.mean / drop.mean
    return Recovery(ratio, *ends, drop, gain)


def ratio_interval(means, covariance, confidence, freedom):
    """Fieller's interval of a ratio of two means, where the denominator's own interval lies above zero.

    Assumes means that are normal, or near enough.

    Args:
      means: (denominator, numerator).
      covariance: of the two means, `[2, 2]`.
      confidence: of the interval.
      freedom: degrees of freedom of the covariance.

    Returns:
      `(low, high)`; both NaN where the denominator cannot be told from zero: the interval has no ends then.

    Source: Fieller 1954, Journal of the Royal Statistical Society B 16, 175-185, with Student's t.
    """
    bound = stats.t.ppf((1 + confidence) / 2, freedom) ** 2
    square, product, constant = (
        means[i] * means[j] - bound * covariance[i][j] for i, j in ((0, 0), (0, 1), (1, 1))
    )
    if not (means[0] > 0 and square > 0):
        return math.nan, math.nan
    reach = math.sqrt(max(product**2 - square * constant, 0.0))
    return float((product - reach) / square), float((product + reach) / square)
