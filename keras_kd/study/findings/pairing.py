"""The accuracies of a study, paired by seed: a twin also shares its start and its batches."""

import dataclasses
import math

import numpy as np

from keras_kd.distillation import recipes
from keras_kd.utils import recovery, statistics


def alone(run):
    """The same network without a teacher."""
    return run.alone


def baseline(run):
    """The residual network that a run is compared with."""
    return run.baseline


def teachers_network(run):
    """The network that teaches a run."""
    return run.teacher.network


class PairedResults:
    """The accuracies of a study's runs, paired.

    Args:
      accuracies: `{study.Run: accuracy on test}`, of the runs that are there and did not fail.
      margin: a difference in accuracy that counts as none.
      resolution: the accuracy that one test image is worth; see `statistics.p_greater`.
      validation: `{study.Run: accuracy on validation}`, for what is chosen.
      planned: all runs of the study, there or not yet, as a rule speaks of all its cases; None: those of
        `accuracies`.
    """

    def __init__(self, accuracies, *, margin=0.01, resolution=0.0, validation=None, planned=None):
        self.accuracies = accuracies
        self.planned = dict.fromkeys(accuracies if planned is None else planned)
        self.validation = validation or {}
        self.margin = margin
        self.resolution = resolution

    def conditions(self, *, variant=None, controls=False, leaving=False, removal=False, other_losses=False):
        """Taught runs as `{condition: [runs, one per seed]}`, in order, whether they are there or not yet.

        Args:
          variant: "residual + KD", "plain + KD", or None: both.
          controls: whether to give those that a control teaches, or those that a teacher does.
          leaving: whether to give those whose teacher leaves early, or those where it stays.
          removal: whether to give those that lose their shortcuts in training, or those that never had any or
            keep them.
          other_losses: whether to give those that are taught by other losses than KD alone, or those by it.
        """
        found = {}
        for run in self.planned:
            if (
                run.is_taught
                and variant in (None, run.variant)
                and controls == (run.teacher.control is not None)
                and leaving == (run.alpha_epochs > 0)
                and removal == run.loses_shortcuts
                and other_losses == (run.loss != recipes.KD)
            ):
                found.setdefault(run.condition, []).append(run)
        return found

    def differences(self, runs, minus):
        """`{seed: accuracy(run) - accuracy(minus(run))}`, where both are there."""
        found = {}
        for run in runs:
            other = minus(run)
            if run in self.accuracies and other in self.accuracies:
                found[run.seed] = self.accuracies[run] - self.accuracies[other]
        return found

    def are_planned(self, runs, minus):
        """Whether the study has what such differences take, be it there or not yet."""
        return any(minus(run) in self.planned for run in runs)

    def gains(self, runs):
        """`{seed: gain}` of taught runs."""
        return self.differences(runs, alone)

    def above(self, differences, bound=0.0):
        """p-value that the mean of `{seed: difference}` is above a bound."""
        return self._p(differences, bound, 1)

    def below(self, differences, bound=0.0):
        """p-value that the mean of `{seed: difference}` is below a bound."""
        return self._p(differences, bound, -1)

    def _p(self, differences, bound, sign):
        values = [sign * value for value in differences.values()]
        return statistics.p_greater(values, sign * bound, self.resolution) if values else 1.0


def best_removals(results):
    """`{case: runs}`: for each seed the shortcut removal that is best on validation over the other seeds.

    Cases are the students that differ in more than their removal. A seed that is lucky on validation is lucky
    on test too, so that of equal ways the one that is best over all seeds would seem better than it is. Of
    the ways with the most seeds: in a study that is not whole, one lucky seed would win. A seed that the best
    way lacks has no run; one seed alone is judged by its own validation, and decides nothing.

    Source: Stone 1974, Journal of the Royal Statistical Society B 36, 111-147 (cross-validatory choice).
    """
    cases = {}
    for runs in results.conditions(variant="plain + KD", removal=True).values():
        case = dataclasses.replace(runs[0], shortcut_removal="none")
        there = {run.seed: run for run in runs if run in results.accuracies}
        cases.setdefault(case, []).append(there)
    best = {}
    for case, ways in sorted(cases.items(), key=lambda pair: pair[0].depth):
        most = max(map(len, ways))
        rivals = [way for way in ways if len(way) == most]
        chosen = {seed: _best_without(seed, rivals, results) for seed in sorted(set().union(*rivals))}
        best[case] = [way[seed] for seed, way in chosen.items() if seed in way]
    return best


def _best_without(seed, ways, results):
    """Of several `{seed: run}` the best on validation, mean over the other seeds; of one seed by its own."""

    def validated(way):
        runs = [run for other, run in way.items() if other != seed] or way.values()
        return np.mean([results.validation.get(run, -np.inf) for run in runs])

    return max(ways, key=validated)


def mean_over(groups):
    """`{seed: mean}` of several `{seed: number}`, for the seeds that all of them have."""
    groups = list(groups)
    seeds = set.intersection(*map(set, groups)) if groups else ()
    return {seed: float(np.mean([group[seed] for group in groups])) for seed in sorted(seeds)}


def combine(first, second, weight=1.0):
    """`{seed: first + weight * second}`, for the seeds that both have."""
    return {seed: first[seed] + weight * second[seed] for seed in first if seed in second}


def teacher_minus_baseline(results, runs):
    """`{seed: accuracy of the teacher - accuracy of the student's residual baseline}`."""
    return {
        run.seed: results.accuracies[run.teacher.network] - results.accuracies[run.baseline]
        for run in runs
        if run.teacher.network in results.accuracies and run.baseline in results.accuracies
    }


def advantages(results):
    """Each taught run's gain and its teacher's advantage: `[(run, advantage, gain)]`."""
    return [
        (
            run,
            results.accuracies[run.teacher.network] - results.accuracies[run.alone],
            results.accuracies[run] - results.accuracies[run.alone],
        )
        for runs in results.conditions().values()
        for run in runs
        if {run, run.teacher.network, run.alone} <= results.accuracies.keys()
    ]


def instrumented_gain(results, slope):
    """`{seed: number}`, positive on average where gain rises by more than `slope` with the advantage.

    For each seed the mean product, within students, of (gain - slope x advantage) and what the other seeds
    say of each teacher's accuracy, which shares no noise with the former: an instrument. In units of
    accuracy, that is divided by the instrument's norm.

    Source: Anderson & Rubin 1949, Annals of Mathematical Statistics 20, 46-63 (the test of a slope when the
    regressor is noisy and the instrument may be weak).
    """
    found = {}
    for seed, students in _by_student(results).items():
        centred = [
            np.array(triples) - np.mean(triples, axis=0) for triples in students.values() if len(triples) > 1
        ]
        if not centred:
            continue
        x, y, instrument = np.concatenate(centred).T
        norm = np.linalg.norm(instrument)
        if norm > statistics.ROUNDING:
            found[seed] = float(instrument @ (y - slope * x) / norm)
    return found


def instrumented_slope(results, confidence=0.95):
    """Points of gain per point of the teacher's advantage, within students, as a `statistics.Estimate`.

    The interval holds the slopes that a test by `instrumented_gain` does not reject. As that is a straight
    line in the slope, it is Fieller's, of the ratio of two means over seeds. A least-squares slope would be
    flattened by the noise in the teachers' accuracy, and its interval with it.

    Returns:
      Mean and interval are NaN where the latter is not bounded: the teachers differ too little in accuracy.
      The deviation is NaN, as a ratio of means has none; the count is that of seeds.

    Source: as of `instrumented_gain`.
    """
    gained = instrumented_gain(results, 0.0)
    advantage = combine(gained, instrumented_gain(results, 1.0), -1)
    count = len(gained)
    if count < 2:
        return statistics.Estimate(*[math.nan] * 4, count)
    pairs = np.array([[advantage[seed], gained[seed]] for seed in gained]).T
    covariance = np.cov(pairs, ddof=1)
    np.fill_diagonal(covariance, np.maximum(np.diagonal(covariance), results.resolution**2))
    means = pairs.mean(axis=1)
    low, high = recovery.ratio_interval(means, covariance / count, confidence, count - 1)
    mean = math.nan if math.isnan(low) else float(means[1] / means[0])
    return statistics.Estimate(mean, low, high, math.nan, count)


def _by_student(results):
    """`{seed: {student alone: [(advantage, gain, the teacher's mean accuracy in other seeds)]}}`."""
    by_condition = {}
    for run, accuracy in results.accuracies.items():
        by_condition.setdefault(run.condition, {})[run.seed] = accuracy
    found = {}
    for run, advantage, gained in advantages(results):
        others = [a for seed, a in by_condition[run.teacher.network.condition].items() if seed != run.seed]
        if others:
            triple = (advantage, gained, float(np.mean(others)))
            found.setdefault(run.seed, {}).setdefault(run.alone, []).append(triple)
    return found
