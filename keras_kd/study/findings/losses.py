"""Distillation losses side by side: each against KD by the same teacher, paired by seed."""

import dataclasses

from keras_kd.distillation import recipes
from keras_kd.study.design import Run
from keras_kd.study.findings import naming
from keras_kd.study.findings.evidence import Evidence, not_there
from keras_kd.utils import statistics

_USUAL = {name: getattr(Run, name) for name in recipes.OF_KD}


def against_kd(results):
    """Taught runs with another loss, each beside the student with KD.

    Of several students with KD the one of the same temperature and alpha is the other side, if there is one.

    Args:
      results: a `pairing.PairedResults`.

    Returns:
      `(differences, lacking)`: `{title: {seed: accuracy minus that with KD}}`, and in words which KD the
      study lacks for those that have none, or None.
    """
    by_student = {}  # student and teacher: the settings of KD that there are
    for runs in results.conditions().values():
        by_student.setdefault(_of_kd(runs[0], _USUAL).condition, []).append(_settings(runs[0]))
    found, lacking = {}, None
    for runs in results.conditions(other_losses=True).values():
        settings = by_student.get(_of_kd(runs[0], _USUAL).condition)
        if not settings:
            continue
        chosen = settings[0] if len(settings) == 1 else _settings(runs[0])
        found[naming.title(runs[0])] = results.differences(
            runs, lambda run, chosen=chosen: _of_kd(run, chosen)
        )
        if chosen not in settings:
            lacking = lacking or _lacking(runs[0], chosen, settings)
    return found, lacking


def _of_kd(run, settings):
    return dataclasses.replace(run, loss=recipes.KD, **settings)


def _settings(run):
    return {name: getattr(run, name) for name in recipes.OF_KD}


def _lacking(run, chosen, settings):
    there = "; ".join(naming.kd_settings(**each) for each in settings)
    return (
        f"of several students with KD, one of {naming.kd_settings(**chosen)} beside that of "
        f"{naming.spec(run.loss)}: there are {there}"
    )


def better_than_kd(results):
    """The `Evidence` of claim M1."""
    groups, lacking = against_kd(results)
    if not groups:
        return Evidence(missing="no student with another loss beside one with KD by the same teacher")
    better = [results.above(group) for group in groups.values()]
    not_better = [results.below(group, results.margin) for group in groups.values()]
    return Evidence(
        statistics.p_at_least(better, 1),
        statistics.p_at_least(not_better, len(not_better)),
        {f"{title}, minus KD": group for title, group in groups.items()},
        lacking or not_there(groups.values()),
    )
