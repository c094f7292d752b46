"""Accuracies compared over seeds: intervals, paired tests, effect sizes, corrections.

All comparisons are paired: what is compared shares its seed, its initial weights and its batches, so the
unit is the difference within a seed.
"""

import bisect
import dataclasses
import itertools
import math

import numpy as np
from scipy import stats

# So many sign patterns are enumerated; beyond that as many are drawn.
EXACT_PATTERNS = 2**16

MOST_SEEDS = 10_000

# A standard deviation of accuracies below this is rounding: .3 - .2 is not .2 - .1.
ROUNDING = 1e-12

# The share of the epochs over which `late_change` tells what changed.
LAST_EPOCHS = 0.2


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


def estimate(values, confidence=0.95, resolution=0.0):
    """Mean and Student's t interval.

    Assumes values that are independent and near enough to normal for their mean to be so.

    Args:
      values: numbers `[n]`, n >= 1.
      confidence: of the interval, in (0, 1).
      resolution: the least standard deviation that the interval believes in: accuracies are whole numbers of
        images, and a few equal ones do not show that seeds make no difference.

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
    low, high = student_interval(mean, max(deviation, resolution), count, confidence)
    return Estimate(mean, low, high, deviation, count)


def student_interval(mean, deviation, count, confidence=0.95):
    """`(low, high)`, Student's t interval of a mean of so many values with this standard deviation."""
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * deviation / math.sqrt(count)
    return mean - half, mean + half


def with_confidence(found, confidence):
    """An `Estimate`, or what has its fields, with Student's interval of another confidence.

    Args:
      found: with the 95 % interval of `estimate`, whatever deviation that believed in.
      confidence: of the new interval.
    """
    wider, given = (stats.t.ppf((1 + each) / 2, found.count - 1) for each in (confidence, 0.95))
    half = float((found.high - found.mean) * wider / given)
    return dataclasses.replace(found, low=found.mean - half, high=found.mean + half)


def simultaneous(count, confidence=0.95):
    """The confidence that each of some intervals needs, so that all hold at once with `confidence`.

    Whatever the dependence between them, as Bonferroni's inequality asks for none.

    Args:
      count: of the intervals, >= 1.
      confidence: of all together.

    Source: Dunn 1961, Journal of the American Statistical Association 56, 52-64.
    """
    return 1 - (1 - confidence) / count


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Paired differences over seeds.

    Attributes:
      difference: their `Estimate`.
      effect_size: mean over standard deviation of the differences (Cohen's d_z); NaN without
        spread, or with less than the resolution.
      p_value: two-sided, of the sign-flip test.
      smallest_p: the smallest that this test can give for so many pairs.
    """

    difference: Estimate
    effect_size: float
    p_value: float
    smallest_p: float


def compare(differences, confidence=0.95, resolution=0.0):
    """What paired differences say of their mean.

    Args:
      differences: numbers `[n]`.
      confidence: of the interval.
      resolution: as for `estimate`.

    Returns:
      A `Comparison`.
    """
    difference = estimate(differences, confidence, resolution)
    p_value, smallest = sign_flip_test(differences)
    has_spread = difference.deviation >= max(resolution, ROUNDING)
    effect = difference.mean / difference.deviation if has_spread else math.nan
    return Comparison(difference, effect, p_value, smallest)


def sign_flip_test(differences, seed=0):
    """The permutation test of paired differences: under no effect each sign is as likely as the other.

    Exact for up to 16 pairs, two-sided: five pairs reach 1/16 at best. Beyond that it draws sign
    patterns, the observed one being one of them.

    Args:
      differences: numbers `[n]`.
      seed: of the drawn patterns.

    Returns:
      `(p, smallest p that is possible)`.

    Source: Fisher 1935, The Design of Experiments, section 21; Phipson & Smyth 2010, arXiv:1603.05766.
    """
    values = _checked(differences)
    observed = abs(values.sum()) - 1e-12 * np.abs(values).sum()
    if 2 ** len(values) <= EXACT_PATTERNS:
        signs = np.array(list(itertools.product((1, -1), repeat=len(values))))
        return float(np.mean(np.abs(signs @ values) >= observed)), 2.0 ** (1 - len(values))
    signs = np.random.default_rng(seed).choice((1, -1), (EXACT_PATTERNS, len(values)))
    as_far = int(np.sum(np.abs(signs @ values) >= observed))
    return (1 + as_far) / (1 + EXACT_PATTERNS), 1 / (1 + EXACT_PATTERNS)


def p_greater(differences, bound=0.0, resolution=0.0):
    """One-sided paired t test that the mean difference is above a bound.

    Assumes differences that are independent and near enough to normal for their mean to be so.

    Args:
      differences: numbers `[n]`.
      bound: what the mean is compared with.
      resolution: as for `estimate`.

    Returns:
      The p-value; 1 for what decides nothing: fewer than two differences, or equal ones of no resolution.
    """
    values = _checked(differences)
    if len(values) < 2:
        return 1.0
    deviation = max(float(values.std(ddof=1)), resolution)
    if deviation < ROUNDING:
        return 1.0
    surplus = float(values.mean()) - bound
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
    counts = range(2, MOST_SEEDS + 1)
    place = bisect.bisect_left(
        counts, power, key=lambda count: _power(effect / deviation, count, level, sides)
    )
    if place == len(counts):
        raise ValueError(f"more than {MOST_SEEDS} seeds are needed. Received: effect={effect}")
    return counts[place]


def _power(effect_size, count, level, sides):
    """The probability that a paired t test of so many pairs finds an effect."""
    freedom, shift = count - 1, effect_size * math.sqrt(count)
    critical = stats.t.ppf(1 - level / sides, freedom)
    above = stats.nct.sf(critical, freedom, shift)
    if math.isnan(above):  # SciPy's tail, where the shift is large: t is normal, given its deviation
        quantiles = stats.chi2.ppf((np.arange(10_000) + 0.5) / 10_000, freedom)
        above = np.mean(stats.norm.sf(critical * np.sqrt(quantiles / freedom) - shift))
    below = stats.nct.cdf(-critical, freedom, shift) if sides == 2 else 0.0
    return float(above + np.nan_to_num(below))


@dataclasses.dataclass(frozen=True)
class Line:
    """A least-squares line, without an interval: points that share something are not independent.

    Attributes:
      slope: of the line.
      intercept: where the regressor is 0.
      explained: share of the variance, R^2.
    """

    slope: float
    intercept: float
    explained: float


def line(x, y):
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
    return Line(float(fit.slope), float(fit.intercept), float(fit.rvalue**2))


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


def late_change(accuracies):
    """By how much an accuracy rose over the last fifth of the epochs; None for fewer than two epochs.

    Args:
      accuracies: one per epoch, or None where they were not kept.
    """
    values = accuracies or []
    if len(values) < 2:
        return None
    return values[-1] - values[-1 - min(math.ceil(LAST_EPOCHS * len(values)), len(values) - 1)]


def _checked(values):
    values = np.asarray(values, np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"finite numbers are needed, at least one. Received: {values.tolist()}")
    return values
