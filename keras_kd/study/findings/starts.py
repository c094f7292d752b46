"""Where teachers begin: one with its student's initial weights beside one with its own, paired by seed."""

import dataclasses

from keras_kd.study.findings.evidence import Evidence, not_there
from keras_kd.study.findings.pairing import alone, combine, mean_over
from keras_kd.utils import seeding


def shared_minus_own(results):
    """`[{seed: number}]`: gain by a teacher of the same initial weights minus gain by one with its own.

    One for each student and teacher that the study plans with both.

    Args:
      results: a `pairing.PairedResults`.
    """
    taught = results.conditions()
    groups = []
    for runs in taught.values():
        network = runs[0].teacher.network
        if network.initial_weights != seeding.OWN:
            continue
        teacher = dataclasses.replace(
            runs[0].teacher, network=dataclasses.replace(network, initial_weights=seeding.SHARED)
        )
        same = taught.get(dataclasses.replace(runs[0], teacher=teacher).condition, [])
        if same and results.are_planned(runs, alone):
            groups.append(combine(results.gains(same), results.gains(runs), -1))
    return groups


def more_by_the_same_start(results):
    """The `Evidence` of claim S1."""
    groups = shared_minus_own(results)
    if not groups:
        return Evidence(missing="no teacher with own initial weights beside the same one with shared ones")
    more = mean_over(groups)
    label = "gain by the teacher of the same initial weights, minus gain by the one with its own"
    return Evidence(
        results.above(more), results.below(more, results.margin), {label: more}, not_there(groups)
    )
