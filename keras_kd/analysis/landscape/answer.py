"""What the landscapes of networks say about them, in sentences with their uncertainty.

answer([group]).sentences[0]
# "The surface around plain is 3.1 times (2.1 to 4.3) as curved as around residual."
"""

import numpy as np

from keras_kd.analysis import answers
from keras_kd.utils import statistics


def answer(groups, others=0):
    """One sentence for each pair that matters, and what their intervals are over: an `answers.Answer`.

    Args:
      groups: `results.GroupResult`s of `LandscapeResult`s: of one run, or of a study.
      others: intervals that stand on the same page.
    """
    pairs = answers.pairs_of(groups)
    if not pairs:
        return answers.Answer([_alone(network) for network in groups[0].result.networks])
    confidence = answers.confidence(len(pairs), others)
    found = [answers.begin(pair, pairs) + _sentence(pair, confidence) for pair in pairs]
    return answers.Answer(found, list(dict.fromkeys(_basis(pair, len(pairs), others) for pair in pairs)))


def _alone(network):
    return (
        f"Around {network.label} {_percent(network.not_convex)} of the plane is not convex; one network, one "
        f"seed and one plane: nothing to compare, and no interval."
    )


# --------------------------------------------------------------------------- curvature


def _sentence(pair, confidence):
    if any(network.curvatures is None for two in pair.results for network in two):
        return _convexity(pair, confidence)
    found = _ratio(pair, confidence)
    asked = f"Undecided whether the surface around {pair.one} or around {pair.other} is more curved"
    if found is None:
        return f"{asked}: the curvature around one of them cannot be told from 0."
    ratio, low, high = map(_times, found)
    amount = f"{ratio} times ({low} to {high})"
    if found[1] <= 1 <= found[2]:
        return f"{asked}: the first {amount} as much as the second."
    return f"The surface around {pair.one} is {amount} as curved as around {pair.other_name}."


def _ratio(pair, confidence):
    if pair.has_seeds:
        one, other = zip(*[(a.curvature, b.curvature) for a, b in pair.results], strict=True)
        return answers.mean_ratio(one, other, confidence)
    ((one, other),) = pair.results
    if None in [*one.curvatures, *other.curvatures]:
        return None
    return answers.ratio_of_means(one.curvatures, other.curvatures, confidence)


def _times(ratio):
    """A ratio in two digits, in three where two would be 1."""
    if ratio >= 99.5:
        return f"{ratio:,.0f}"
    return f"{ratio:.2g}" if f"{ratio:.2g}" != "1" else f"{ratio:.3g}"


# --------------------------------------------------------------------------- results of earlier versions


def _convexity(pair, confidence):
    """What results without curvatures say: how much of the plane is not convex."""
    shares = np.array([[a.not_convex, b.not_convex] for a, b in pair.results], float)
    if not np.isfinite(shares).all():
        return f"Undecided for {pair.one} and {pair.other}: a plane has no points whose loss is finite."
    one, other = shares.mean(axis=0)
    told = f"{_percent(one)} of the plane around {pair.one}, {_percent(other)} around {pair.other_name}"
    if not pair.has_seeds:
        return f"{told} is not convex; one plane each: no interval, so nothing is decided."
    found = statistics.estimate(shares[:, 0] - shares[:, 1], confidence)
    difference = f"{100 * found.mean:+.0f} points ({100 * found.low:+.0f} to {100 * found.high:+.0f})"
    return f"{told} is not convex: {difference}{'' if found.excludes_zero else ', undecided'}."


def _percent(share):
    return "no known part" if share is None else f"{100 * share:.0f} %"


# --------------------------------------------------------------------------- what intervals are over


def _basis(pair, count, others):
    joint = answers.joint(count, others)
    if pair.has_seeds:
        return (
            f"Curvature is the mean second derivative along random directions, each filter scaled to the "
            f"network's own. Intervals are over {len(pair.results)} seeds, {joint}."
        )
    one = pair.results[0][0]
    if one.curvatures is None:
        return "One seed: another one would give other numbers."
    return (
        f"One seed, {one.examples:,} images: the intervals are over {len(one.curvatures)} random directions, "
        f"each filter scaled to the network's own ({joint}); another seed would give other numbers."
    )
