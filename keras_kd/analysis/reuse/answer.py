"""What networks lose without one of their blocks, in sentences with their uncertainty.

answer([group]).sentences[0]
# "A silenced block costs plain 27.8 points of accuracy (25.1 to 30.4) more than residual: 40.1 of 46.4
# against 12.3 of 95.3."
"""

import numpy as np

from keras_kd.analysis import answers
from keras_kd.analysis.results import worth_of_an_image
from keras_kd.reporting import formatting
from keras_kd.utils import statistics


def answer(groups, others=0):
    """One sentence for each pair that matters, and what their intervals are over: an `answers.Answer`.

    Args:
      groups: `results.GroupResult`s of `ReuseResult`s: of one run, or of a study.
      others: intervals that stand on the same page.
    """
    pairs = answers.pairs_of(groups)
    if not pairs:
        return answers.Answer([_alone(network) for network in groups[0].result.networks])
    measured = [pair for pair in pairs if _difference(pair)]
    confidence = answers.confidence(max(1, len(measured)), others)
    found = [answers.begin(pair, pairs) + _sentence(pair, confidence) for pair in pairs]
    basis = dict.fromkeys(_basis(pair, len(measured), others) for pair in measured)
    return answers.Answer(found, list(basis))


def _alone(network):
    right = "an unknown share" if network.accuracy is None else f"{100 * network.accuracy:.1f} %"
    told = f"{network.label} is right about {right} of the images"
    if network.lesion_drop is not None:
        told += f" and loses {formatting.percent(network.lesion_drop)} points when one block is silenced"
    return f"{told}; one network and one seed: nothing to compare, and no interval."


def _sentence(pair, confidence):
    if any(network.lesion_drop is None for two in pair.results for network in two):
        return _likeness(pair)
    found = _difference(pair, confidence)
    costs = " against ".join(_cost(pair, place) for place in (0, 1))
    asked = (
        f"Undecided whether a silenced block costs {pair.one} or {pair.other} more accuracy: {costs} points"
    )
    if found is None:
        return f"{asked}, no interval."
    if not found.excludes_zero:
        low, high = (formatting.points(end) for end in (found.low, found.high))
        return f"{asked}, a difference of {formatting.points(found.mean)} ({low} to {high})."
    more, ends = ("more", (found.low, found.high)) if found.mean > 0 else ("less", (-found.high, -found.low))
    low, high = (formatting.percent(end) for end in ends)
    return (
        f"A silenced block costs {pair.one} {formatting.percent(abs(found.mean))} points of accuracy "
        f"({low} to {high}) {more} than {pair.other_name}: {costs}."
    )


def _difference(pair, confidence=answers.CONFIDENCE):
    """The `Estimate` of how much more of its accuracy the first loses; None where that was not measured."""
    if pair.has_seeds:
        drops = [(a.lesion_drop, b.lesion_drop) for a, b in pair.results]
        if any(None in two for two in drops):
            return None
        more = [one - other for one, other in drops]
        return statistics.estimate(more, confidence, worth_of_an_image(pair.groups))
    return pair.groups[0].result.lesion_difference(pair.one, pair.other, confidence)


def _cost(pair, place):
    """What one network loses, and of how much: "40.1 of 46.4", means over seeds."""
    networks = [two[place] for two in pair.results]
    means = (np.mean([getattr(each, key) for each in networks]) for key in ("lesion_drop", "accuracy"))
    return " of ".join(map(formatting.percent, means))


def _likeness(pair):
    """What is said where one network has no block that can be silenced."""
    told = f"Undecided what a block of {pair.one} or {pair.other} is worth: not both have one to silence"
    values = [
        np.array(each.values, float)
        for group in pair.groups
        for each in group.result.cka
        if {each.x, each.y} == {pair.one, pair.other}
    ]
    means = [np.mean(np.diagonal(each)) for each in values if each.shape[0] == each.shape[1]]
    likeness = f"; their CKA, layer by layer, is {np.mean(means):.2f} (no interval)" if means else ""
    return f"{told}{likeness}."


def _basis(pair, count, others):
    joint = answers.joint(count, others)
    if pair.has_seeds:
        return f"Means over blocks. Intervals are over {len(pair.results)} seeds, {joint}."
    images = pair.groups[0].result.images
    return (
        f"Means over blocks. One seed: the intervals are over {images:,} images ({joint}); another seed "
        f"would give other numbers."
    )
