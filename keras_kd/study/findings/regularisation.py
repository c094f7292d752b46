"""What regularised networks give and gain (H2 and H3)."""

import dataclasses
import itertools

from keras_kd.study.design import Teacher
from keras_kd.study.findings.evidence import Evidence, not_there
from keras_kd.study.findings.pairing import alone, combine, mean_over

_UNREGULARISED = {"dropout": 0.0, "weight_decay": 0.0, "augmentation": "none"}


def strength(run):
    """How strongly a run is regularised: dropout, weight decay, augmentations ("auto" counts as "crop")."""
    named = {"none": 0, "crop_flip": 2}
    parts = [named.get(part, 1) for part in run.augmentation.split("+")]
    return (run.dropout, run.weight_decay, sum(parts))


def _weak_and_strong(strengths):
    """The least and the most regularised, if the latter is so in every respect; else None."""
    weak, strong = (tuple(end(values) for values in zip(*strengths, strict=True)) for end in (min, max))
    return (weak, strong) if weak != strong and {weak, strong} <= set(strengths) else None


def _corners(results):
    """`[[{seed: gain}]]`: of weak students with weak and strong teachers, then of strong students likewise,
    for each student and teacher that the study plans in all four combinations, all else being equal. Of what
    is regularised as strongly, such as by crop and by flip, the mean.
    """
    pairs = {}
    for runs in results.conditions().values():
        if not results.are_planned(runs, alone):
            continue
        student, teacher = runs[0], runs[0].teacher.network
        alike = dataclasses.replace(
            student, teacher=Teacher(dataclasses.replace(teacher, **_UNREGULARISED)), **_UNREGULARISED
        )
        place = (strength(student), strength(teacher))
        pairs.setdefault(alike.condition, {}).setdefault(place, []).append(results.gains(runs))
    found = []
    for gains in pairs.values():
        ends = [_weak_and_strong([place[i] for place in gains]) for i in range(2)]
        if all(ends) and set(itertools.product(*ends)) <= gains.keys():
            found.append([mean_over(gains[corner]) for corner in itertools.product(*ends)])
    return found


def regularised_student_gains_more(results):
    """`Evidence` of H2, from `PairedResults`."""
    corners = _corners(results)
    if not corners:
        return Evidence(missing="no students, weakly and strongly regularised, each with two such teachers")
    weak_weak, weak_strong, strong_weak, strong_strong = map(mean_over, zip(*corners, strict=True))
    more = combine(strong_weak, weak_weak, -1)
    more_by_strong = combine(strong_strong, weak_strong, -1)
    interaction = combine(more, more_by_strong, -1)
    surplus = "gain of the regularised student minus that of the other, by a"
    return Evidence(
        max(results.above(more), results.above(interaction)),
        min(1.0, 2 * min(results.below(more), results.below(interaction))),
        {
            f"{surplus} weakly regularised teacher": more,
            f"{surplus} strongly regularised teacher": more_by_strong,
            "the former minus the latter": interaction,
        },
        not_there(itertools.chain(*corners)),
    )


def wide_student_gains_more(results):
    """`Evidence` of H3, from `PairedResults`."""
    conditions = [runs for runs in results.conditions().values() if results.are_planned(runs, alone)]
    ends = conditions and _weak_and_strong([strength(runs[0].teacher.network) for runs in conditions])
    widths = {}
    for runs in conditions:
        if ends and strength(runs[0].teacher.network) == ends[1]:
            alike = dataclasses.replace(runs[0], width=1).condition  # names the teacher too
            widths.setdefault(alike, {})[runs[0].width] = results.gains(runs)
    surpluses = [
        combine(by_width[max(by_width)], by_width[min(by_width)], -1)
        for by_width in widths.values()
        if len(by_width) > 1
    ]
    if not surpluses:
        return Evidence(missing="no student of several widths with a strongly regularised teacher")
    more = mean_over(surpluses)
    label = "gain of the widest minus gain of the narrowest student, strongly regularised teacher"
    return Evidence(results.above(more), results.below(more), {label: more}, not_there(surpluses))
