"""Comparisons of several seeds as one: means, and drop, gain and recovery with intervals over seeds."""

import dataclasses

from keras_kd.training.comparison import Effects
from keras_kd.training.labels import ALONE, BASELINE, DISTILLED, TEACHER
from keras_kd.utils import recovery, statistics
from keras_kd.utils.statistics import Estimate


@dataclasses.dataclass(frozen=True)
class SeedsComparison:
    """What `summarize` returns.

    Attributes:
      seeds: how many.
      accuracies: `{label: Estimate}` of the accuracy on test.
      agreements: `{label: mean agreement with the teacher of the same seed}`; None without a teacher.
      effects: `{label: Effects}` of the students that were taught, the one that the runs are about last;
        their intervals are over seeds.
    """

    seeds: int
    accuracies: dict[str, Estimate]
    agreements: dict[str, float | None]
    effects: dict[str, Effects]


def summarize(comparisons):
    """The `SeedsComparison` of `comparison.Comparison`s that differ by their seed alone.

    Args:
      comparisons: a list of two or more.
    """
    first = comparisons[0]
    networks = {label: [each.networks[label].accuracy for each in comparisons] for label in first.networks}
    images = first.effects.test_images
    resolution = 1 / images if images else 0.0
    has_twin = first.effects.drop is not None
    twin = networks[BASELINE if BASELINE in networks else TEACHER if has_twin else ALONE]
    taught = [DISTILLED, *([list(networks)[-1]] if first.removal_effects else [])]
    effects = {
        label: Effects.of_recovery(
            recovery.over_seeds(twin, networks[ALONE], networks[label], resolution=resolution),
            has_twin,
            images,
        )
        for label in taught
    }
    accuracies = {
        label: statistics.estimate(values, resolution=resolution) for label, values in networks.items()
    }
    agreements = {
        label: _mean([each.networks[label].agreement for each in comparisons]) for label in networks
    }
    return SeedsComparison(len(comparisons), accuracies, agreements, effects)


def _mean(shares):
    return None if None in shares else sum(shares) / len(shares)
