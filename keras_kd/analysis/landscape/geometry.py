"""The shape of losses measured on a plane or a line: eigenvalues, roughness, barrier."""

import dataclasses

import numpy as np

from keras_kd.analysis.landscape import curvature


def plane_eigenvalues(losses, ticks):
    """Principal curvatures of a surface at the inner points of its grid, by central differences.

    Args:
      losses: `[a, b]`, with NaN for holes.
      ticks: the coordinates along both axes, evenly spaced, `(float [a], float [b])`.

    Returns:
      `(smallest, largest)`, each float64 `[a - 2, b - 2]` in nats per square unit of the coordinates; NaN
      beside holes.

    Source: Li et al. 2018, arXiv:1712.09913, section 6: each is a mean of the whole Hessian's curvatures, so
    where the plane is not convex the space is not either.
    """
    z = np.asarray(losses, np.float64)
    da, db = (np.mean(np.diff(each)) for each in ticks)
    centre = z[1:-1, 1:-1]
    with np.errstate(invalid="ignore", over="ignore"):
        aa = (z[2:, 1:-1] - 2 * centre + z[:-2, 1:-1]) / da**2
        bb = (z[1:-1, 2:] - 2 * centre + z[1:-1, :-2]) / db**2
        ab = (z[2:, 2:] - z[2:, :-2] - z[:-2, 2:] + z[:-2, :-2]) / (4 * da * db)
        middle, radius = (aa + bb) / 2, np.hypot((aa - bb) / 2, ab)
        return middle - radius, middle + radius


@dataclasses.dataclass(frozen=True)
class Roughness:
    """How far a surface is from a bowl.

    Attributes:
      ratio: mean over its points of |smallest / largest| principal curvature where the smallest is negative,
        at most 1, and of 0 where it is not: 0 for a bowl, 1 for a saddle as steep down as up.
      not_convex: share of its points where the smallest is below 0 by more than rounding.
      points: inner points that count: those that no hole touches.
      holes: points of the whole grid whose loss is not finite.
    """

    ratio: float
    not_convex: float
    points: int
    holes: int


def roughness(losses, ticks):
    """The `Roughness` of a surface; arguments as for `plane_eigenvalues`.

    Source: Li et al. 2018, arXiv:1712.09913, section 6, who take the ratio from the whole Hessian.
    """
    losses = np.asarray(losses, np.float64)
    smallest, largest = plane_eigenvalues(losses, ticks)
    whole = np.isfinite(smallest)
    step = min(np.mean(np.diff(each)) for each in ticks)
    rounding = curvature.ROUNDINGS * np.finfo(np.float32).eps * np.abs(losses[1:-1, 1:-1]) / step**2
    negative = whole & (smallest < -rounding)
    steeper_up = np.maximum(largest, -smallest)
    ratios = -smallest[negative] / steeper_up[negative]
    count = int(whole.sum())
    return Roughness(
        float(ratios.sum() / count) if count else np.nan,
        float(negative.sum() / count) if count else np.nan,
        count,
        int((~np.isfinite(losses)).sum()),
    )


def barrier(losses, fractions):
    """How far the loss between two networks rises above the straight line between theirs: nats, 0 at least.

    NaN if the loss is not finite somewhere between.

    Args:
      losses: `[n]` along the line.
      fractions: `[n]`, rising, where 0 is one network and 1 the other; both must be among them.

    Raises:
      ValueError: if an end is missing.

    Source: Frankle et al. 2020, arXiv:1912.05671; with the line in place of the ends' mean, Entezari et al.
    2022, arXiv:2110.06296, definition 1.
    """
    losses, fractions = np.asarray(losses, np.float64), np.asarray(fractions, np.float64)
    ends = [np.flatnonzero(np.isclose(fractions, end)) for end in (0.0, 1.0)]
    if not all(len(end) for end in ends):
        raise ValueError(f"fractions must contain 0 and 1, the two networks. Received: {fractions.tolist()}")
    first, last = (losses[end[0]] for end in ends)
    between = slice(ends[0][0], ends[1][0] + 1)
    return float(np.max(losses[between] - (first + fractions[between] * (last - first))))
