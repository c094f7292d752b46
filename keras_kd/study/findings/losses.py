"""Distillation losses side by side: each against KD by the same teacher, paired by seed."""

import dataclasses

from keras_kd.distillation import recipes
from keras_kd.study.findings import naming
from keras_kd.study.findings.evidence import Evidence, not_there
from keras_kd.utils import statistics

# What is said of KD alone, which other losses cannot be told.
_USUAL = {"temperature": 4.0, "alpha": 0.9, "alpha_epochs": 0}


def against_kd(results):
    """`{title: {seed: accuracy minus that with KD}}` of taught runs with another loss.

    Of several students with KD the one of the same temperature and alpha is the other side, if there is one.

    Args:
      results: a `pairing.PairedResults`.
    """
    by_student = {}  # student and teacher: the settings of KD that there are
    for runs in results.conditions().values():
        settings = {name: getattr(runs[0], name) for name in _USUAL}
        by_student.setdefault(_of_kd(runs[0], _USUAL).condition, []).append(settings)
    found = {}
    for runs in results.conditions(other_losses=True).values():
        settings = by_student.get(_of_kd(runs[0], _USUAL).condition)
        own = {name: getattr(runs[0], name) for name in _USUAL}
        if settings:
            chosen = settings[0] if len(settings) == 1 else own
            found[naming.title(runs[0])] = results.differences(
                runs, lambda run, chosen=chosen: _of_kd(run, chosen)
            )
    return found


def _of_kd(run, settings):
    return dataclasses.replace(run, loss=recipes.KD, **settings)


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
        not_there(groups.values()),
    )
