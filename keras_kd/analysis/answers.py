"""What the first sentences of an analysis rest on: which networks are compared, how sure intervals are.

Sentences are decided in `landscape/answer.py` and `reuse/answer.py`, from results alone.
"""

import dataclasses
import math

import numpy as np

from keras_kd.utils import recovery, statistics

# Of all intervals of a page together.
CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an analysis found.

    Attributes:
      sentences: one for each pair that matters.
      basis: what their intervals are over, in sentences; empty without intervals.
    """

    sentences: list
    basis: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class GroupPair:
    """Two networks that are compared, in every group of one kind.

    Attributes:
      kind: what the groups share, in words; None of a run that is no study.
      one, other: labels of the networks.
      other_name: what the second is called in a sentence.
      results: `[(one's numbers, other's numbers)]`, one for each group that has both.
      groups: those groups.
    """

    kind: str | None
    one: str
    other: str
    other_name: str
    results: list
    groups: list

    @property
    def has_seeds(self):
        """Whether it is compared over seeds."""
        return len(self.results) > 1


def pairs_of(groups):
    """The `GroupPair`s of an analysis, by kind and pair.

    Args:
      groups: `results.GroupResult`s.
    """
    found = {}
    for group in groups:
        networks = {network.label: network for network in group.result.networks}
        for one, other in group.pairs:
            if one in networks and other in networks:
                pair = found.setdefault((group.kind, one, other), ([], [], group.twin))
                pair[0].append((networks[one], networks[other]))
                pair[1].append(group)
    return [
        GroupPair(kind, one, other, _named(other, twin), results, of_groups)
        for (kind, one, other), (results, of_groups, twin) in found.items()
    ]


def _named(label, twin):
    return f"its residual twin, {label}" if label == twin and "residual" not in label else label


def confidence(count, others=0):
    """The confidence of each of some intervals on a page, so that all on it hold at once with `CONFIDENCE`.

    Args:
      count: of these intervals, >= 1.
      others: how many the page has beside them. Half of the risk is theirs then, so that sentences about
        two networks do not become vague by a long table.
    """
    shared = 1 - (1 - CONFIDENCE) / (2 if others else 1)
    return statistics.simultaneous(count, shared)


def ratio_of_means(one, other, confidence):
    """Mean of `one` over mean of `other`, paired: `(ratio, low, high)`; None where `other` may be 0.

    By Fieller's interval with Student's t. Assumes means that are normal, or near enough.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    covariance = np.cov(other, one, ddof=1) / len(one)
    means = (float(other.mean()), float(one.mean()))
    low, high = recovery.ratio_interval(means, covariance, confidence, len(one) - 1)
    return None if math.isnan(low) else (means[1] / means[0], low, high)


def mean_ratio(one, other, confidence):
    """The geometric mean of the ratios over seeds: `(ratio, low, high)`; None where one is not positive.

    By Student's interval of their logarithms. Assumes ratios that are log-normal, or near enough.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if not ((one > 0).all() and (other > 0).all()):
        return None
    found = statistics.estimate(np.log(one / other), confidence)
    return tuple(math.exp(each) for each in (found.mean, found.low, found.high))


def begin(pair, pairs):
    """What a sentence begins with: the kind of the networks, where a page is about several."""
    return f"{pair.kind}: " if len({each.kind for each in pairs}) > 1 else ""


def joint(count, others):
    """How sure the intervals of some sentences are together, in words."""
    if others:
        return f"corrected for the {count + others} intervals of this page"
    return f"95 % for all {count} together" if count > 1 else "95 %"
