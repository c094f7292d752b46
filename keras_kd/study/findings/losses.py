"""Distillation losses side by side: each against KD by the same teacher, paired by seed."""

import dataclasses

from keras_kd.distillation import recipes
from keras_kd.study.findings import naming
from keras_kd.study.findings.evidence import Evidence
from keras_kd.utils import statistics


def against_kd(results):
    """`{title: {seed: accuracy minus that with KD}}` of taught runs with another loss.

    Args:
      results: a `pairing.PairedResults`.
    """
    found = {
        naming.title(runs[0]): results.differences(
            runs, lambda run: dataclasses.replace(run, loss=recipes.KD)
        )
        for runs in results.conditions(other_losses=True).values()
    }
    return {title: group for title, group in found.items() if group}


def better_than_kd(results):
    """The `Evidence` of claim M1."""
    groups = against_kd(results)
    if not groups:
        return Evidence(missing="no student with another loss beside one with KD by the same teacher")
    better = [results.above(group) for group in groups.values()]
    not_better = [results.below(group, results.margin) for group in groups.values()]
    return Evidence(
        statistics.p_at_least(better, 1),
        statistics.p_at_least(not_better, len(not_better)),
        {f"{title}, minus KD": group for title, group in groups.items()},
    )
