"""Accuracies compared over seeds: intervals, paired tests, effect sizes, corrections.

All comparisons are paired: what is compared shares its seed, its initial weights and its batches, so the
unit is the difference within a seed.
"""

import dataclasses
import itertools
import math

import numpy as np
from scipy import stats

# So many sign patterns are enumerated; beyond that as many are drawn.
EXACT_PATTERNS = 2**16

MOST_SEEDS = 10_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
      mean: of the values.
      low, high: ends of its confidence interval; NaN for one value.
      deviation: standard deviation of the values, n - 1 in the denominator; NaN for one value.
      count: number of values.
    """

    mean: float
    low: float
    high: float
    deviation: float
    count: int

    @property
    def excludes_zero(self):
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0


def estimate(values, confidence=0.95):
    """Mean and Student's t interval.

    Assumes values that are independent and near enough to normal for their mean to be so.

    Args:
      values: numbers `[n]`, n >= 1.
      confidence: of the interval, in (0, 1).

    Returns:
      An `Estimate`.

    Raises:
      ValueError: without values, or for one that is not finite.
    """
    values = _checked(values)
    mean, count = float(values.mean()), len(values)
    if count == 1:
        return Estimate(mean, math.nan, math.nan, math.nan, 1)
    deviation = float(values.std(ddof=1))
    half = stats.t.ppf((1 + confidence) / 2, count - 1) * deviation / math.sqrt(count)
    return Estimate(mean, mean - half, mean + half, deviation, count)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Paired differences over seeds.

    Attributes:
      difference: their `Estimate`.
      effect_size: mean over standard deviation of the differences (Cohen's d_z); NaN without spread.
      p_value: two-sided, of the sign-flip test.
      smallest_p: the smallest that this test can give for so many pairs.
    """

    difference: Estimate
    effect_size: float
    p_value: float
    smallest_p: float


def compare(differences, confidence=0.95, clusters=None):
    """What paired differences say of their mean.

    Args:
      differences: numbers `[n]`.
      confidence: of the interval.
      clusters: `[n]` labels of pairs that are not independent, such as those of one seed; None: all are.

    Returns:
      A `Comparison`.
    """
    difference = estimate(differences, confidence)
    p_value, smallest = sign_flip_test(differences, clusters)
    effect = difference.mean / difference.deviation if difference.deviation > 0 else math.nan
    return Comparison(difference, effect, p_value, smallest)


def sign_flip_test(differences, clusters=None, seed=0):
    """The permutation test of paired differences: under no effect each sign is as likely as the other.

    Exact for up to 16 pairs or clusters, two-sided: five pairs reach 1/16 at best. Beyond that it draws sign
    patterns, the observed one being one of them.

    Args:
      differences: numbers `[n]`.
      clusters: see `compare`: signs flip together within a cluster.
      seed: of the drawn patterns.

    Returns:
      `(p, smallest p that is possible)`.

    Source: Fisher 1935, The Design of Experiments, section 21; Phipson & Smyth 2010, arXiv:1603.05766.
    """
    values = _checked(differences)
    labels = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    sums = np.array([values[labels == label].sum() for label in np.unique(labels)])
    observed = abs(sums.sum()) - 1e-12 * np.abs(sums).sum()
    if 2 ** len(sums) <= EXACT_PATTERNS:
        signs = np.array(list(itertools.product((1, -1), repeat=len(sums))))
        return float(np.mean(np.abs(signs @ sums) >= observed)), 2.0 ** (1 - len(sums))
    signs = np.random.default_rng(seed).choice((1, -1), (EXACT_PATTERNS, len(sums)))
    return (1 + int(np.sum(np.abs(signs @ sums) >= observed))) / (1 + EXACT_PATTERNS), 1 / (
        1 + EXACT_PATTERNS
    )


def p_greater(differences, bound=0.0, resolution=0.0):
    """One-sided paired t test that the mean difference is above a bound.

    Assumes differences that are independent and near enough to normal for their mean to be so.

    Args:
      differences: numbers `[n]`.
      bound: what the mean is compared with.
      resolution: the least standard deviation to believe in: accuracies are whole numbers of images, and a
        few equal ones do not show that seeds make no difference.

    Returns:
      The p-value; 1 for fewer than two differences, which decide nothing.
    """
    values = _checked(differences)
    if len(values) < 2:
        return 1.0
    deviation = max(float(values.std(ddof=1)), resolution)
    surplus = float(values.mean()) - bound
    if deviation == 0:
        return 0.0 if surplus > 0 else 1.0
    return float(stats.t.sf(surplus / deviation * math.sqrt(len(values)), len(values) - 1))


def p_at_least(p_values, least):
    """That at least `least` of several hypotheses are true, from the p-value of each: a partial conjunction.

    Valid whatever the dependence between them. With `least=1` it is Bonferroni's test, with all of them the
    largest p-value.

    Args:
      p_values: numbers `[n]`, each small where its hypothesis is true.
      least: from 1 to n.

    Returns:
      The p-value.

    Source: Benjamini & Heller 2008, Biometrics 64, 1215-1222, section 2.2.
    """
    ordered = sorted(p_values)
    if not 1 <= least <= len(ordered):
        raise ValueError(f"least must lie in [1, {len(ordered)}]. Received: least={least}")
    return min(1.0, (len(ordered) - least + 1) * ordered[least - 1])


def seeds_needed(effect, deviation, power=0.8, level=0.05, sides=2):
    """How many pairs a paired t test needs.

    Args:
      effect: the mean difference to find, > 0.
      deviation: standard deviation of the differences, > 0, in the same unit.
      power: the probability to find it.
      level: of the test.
      sides: 2 where an effect of either sign counts, 1 where only a positive one does.

    Returns:
      The smallest number of pairs.

    Raises:
      ValueError: for numbers out of range, or more than `MOST_SEEDS` pairs.
    """
    if not (effect > 0 and deviation > 0 and 0 < level < 1 and level < power < 1):
        raise ValueError(
            f"effect and deviation must be > 0, and level < power < 1. "
            f"Received: effect={effect}, deviation={deviation}, power={power}, level={level}"
        )
    counts = np.arange(2, MOST_SEEDS + 1)
    shift, critical = effect / deviation * np.sqrt(counts), stats.t.ppf(1 - level / sides, counts - 1)
    found = stats.nct.sf(critical, counts - 1, shift)
    if sides == 2:
        found += stats.nct.cdf(-critical, counts - 1, shift)
    if not (found >= power).any():
        raise ValueError(f"more than {MOST_SEEDS} seeds are needed. Received: effect={effect}")
    return int(counts[np.argmax(found >= power)])


@dataclasses.dataclass(frozen=True)
class Recovery:
    """The share of a drop that a teacher brings back, of means over seeds.

    Attributes:
      ratio: mean gain / mean drop; NaN where the drop is not distinguishable from zero.
      low, high: ends of its bootstrap interval; NaN likewise.
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


def recovery_interval(residual, plain, taught, confidence=0.95, draws=10_000, seed=0):
    """The share of the drop that the teacher brings back, never as a ratio of noise.

    Args:
      residual, plain, taught: accuracies `[n]`, paired by seed.
      confidence: of the intervals.
      draws: of the bootstrap, which draws seeds, with what belongs to them.
      seed: of the draws.

    Returns:
      A `Recovery`.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 13.3 (percentiles).
    """
    residual, plain, taught = (_checked(values) for values in (residual, plain, taught))
    drops, gains = residual - plain, taught - plain
    drop, gain = estimate(drops, confidence), estimate(gains, confidence)
    if not drop.low > 0:
        return Recovery(math.nan, math.nan, math.nan, drop, gain)
    chosen = np.random.default_rng(seed).integers(0, len(drops), (draws, len(drops)))
    mean_drops, mean_gains = drops[chosen].mean(axis=1), gains[chosen].mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(mean_drops > 0, mean_gains / mean_drops, np.inf * np.sign(mean_gains))
    tail = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(ratios, [tail, 100 - tail], method="inverted_cdf")
    return Recovery(gain.mean / drop.mean, float(low), float(high), drop, gain)


@dataclasses.dataclass(frozen=True)
class Line:
    """A least-squares line.

    Attributes:
      slope, low, high: of the line, and its confidence interval.
      intercept: where the regressor is 0.
      explained: share of the variance, R^2.
      p_value: two-sided, of a slope of 0.
    """

    slope: float
    low: float
    high: float
    intercept: float
    explained: float
    p_value: float


def line(x, y, confidence=0.95):
    """Regresses `y` on `x`.

    Args:
      x, y: numbers `[n]`, n >= 3, x not all the same.

    Raises:
      ValueError: for fewer, or for an x that does not vary.
    """
    x, y = _checked(x), _checked(y)
    if len(x) < 3 or np.ptp(x) == 0:
        raise ValueError(f"a line needs three points and an x that varies. Received: x={x.tolist()}")
    fit = stats.linregress(x, y)
    half = stats.t.ppf((1 + confidence) / 2, len(x) - 2) * fit.stderr
    return Line(
        float(fit.slope),
        float(fit.slope - half),
        float(fit.slope + half),
        float(fit.intercept),
        float(fit.rvalue**2),
        float(fit.pvalue),
    )


def holm(p_values):
    """p-values corrected for being tested together, in the order given.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()


def _checked(values):
    values = np.asarray(values, np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"finite numbers are needed, at least one. Received: {values.tolist()}")
    return values


def drop(residual, plain):
    """What the shortcuts are worth: accuracy of residual(d) minus accuracy of plain(d)."""
    return residual - plain


def gain(taught, alone):
    """What the teacher is worth: accuracy of the student taught minus that of the student alone."""
    return taught - alone


def recovery(residual, plain, taught):
    """The share of the drop that the teacher brings back.

    Args:
      residual: accuracy of residual(d).
      plain: accuracy of plain(d) trained alone.
      taught: accuracy of plain(d) with a teacher.

    Returns:
      gain / drop: 1 is all of it, more is better than the residual network. None where there
      is no drop to recover.
    """
    lost = drop(residual, plain)
    return gain(taught, plain) / lost if lost > 0 else None
