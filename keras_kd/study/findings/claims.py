"""The claims that a study can judge, each with its rule and its test.

Every claim is tested in both directions by rules that were written before the data were seen: `p_for` is
small where the data speak for it, `p_against` where they speak against it.
"""

import collections
import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from keras_kd.study.findings import naming
from keras_kd.study.findings.cases import judge_cases
from keras_kd.study.findings.evidence import MEAN_OVER_CASES, Evidence, not_there
from keras_kd.study.findings.losses import better_than_kd
from keras_kd.study.findings.pairing import (
    PairedResults,
    alone,
    baseline,
    best_removals,
    combine,
    instrumented_gain,
    instrumented_slope,
    mean_over,
    teacher_minus_baseline,
    teachers_network,
)
from keras_kd.study.findings.regularisation import regularised_student_gains_more, wide_student_gains_more
from keras_kd.study.findings.starts import more_by_the_same_start
from keras_kd.utils import statistics

# C4: how much of a point of the teacher's advantage, at the least, a student that it explains would gain.
EXPLAINING_SLOPE = 0.5


# H1: the share of the gain that is "most".
MOST = 0.5


def _as_well(results):
    groups = {
        f"{naming.title(runs[0])}, minus its residual baseline": results.differences(runs, baseline)
        for runs in results.conditions(variant="plain + KD").values()
        if results.are_planned(runs, baseline)
    }
    if not groups:
        return Evidence(missing="no plain network with a teacher beside its residual baseline")
    well, worse = _beside_the_margin(results, groups.values())
    half = len(groups) // 2
    return Evidence(
        statistics.p_at_least(well, half + 1),
        statistics.p_at_least(worse, len(groups) - half),
        groups,
        cases=judge_cases(results, groups),
        missing=not_there(groups.values()),
    )


def _beside_the_margin(results, groups):
    """p-values of each group of differences, two lists: less than the margin below 0, and further below."""
    return [[test(group, -results.margin) for group in groups] for test in (results.above, results.below)]


def _inferior_teacher(results):
    for_cases, against_cases, pairs, leads = [], [], {}, []
    for runs in results.conditions(variant="plain + KD").values():
        if not (results.are_planned(runs, baseline) and results.are_planned(runs, teachers_network)):
            continue
        ahead = results.differences(runs, baseline)
        behind = teacher_minus_baseline(results, runs)
        pairs[naming.title(runs[0])] = ahead and behind and (ahead, behind)
        leads += [np.mean(list(behind.values()))] if behind else []
        for_cases.append(max(results.below(behind), results.above(ahead)))
        against_cases.append(min(1.0, 2 * min(results.above(behind), results.below(ahead))))
    if not for_cases:
        return Evidence(missing="no teacher beside the baseline of its student")
    groups = {}
    for title, pair in pairs.items():
        labels = (f"{title}, minus its residual baseline", f"{title}: the teacher, minus that baseline")
        groups |= dict(zip(labels, pair, strict=True)) if pair else {}
    missing = not_there(pairs.values())
    if min(leads, default=0) >= 0:  # a twin is its own baseline
        none = "no teacher that is inferior to its student's baseline"
        return Evidence(differences=groups, missing=missing or none)
    return Evidence(statistics.p_at_least(for_cases, 1), max(against_cases), groups, missing)


def _deep_drop(results):
    conditions = [
        runs
        for runs in results.conditions(variant="plain + KD").values()
        if results.are_planned(runs, alone) and results.are_planned(runs, baseline)
    ]
    if not conditions:
        return Evidence(missing="no plain network with and without a teacher beside its residual baseline")
    deepest = max(runs[0].depth for runs in conditions)
    pairs = [  # gain, and what is still missing
        (results.gains(runs), {s: -d for s, d in results.differences(runs, baseline).items()})
        for runs in conditions
        if runs[0].depth == deepest
    ]
    gained, left = (mean_over(groups) for groups in zip(*pairs, strict=True))
    lost = combine(gained, left)
    is_substantial = results.above(lost, results.margin)
    return Evidence(
        max(is_substantial, results.above(gained), results.above(left)),
        max(is_substantial, min(1.0, 2 * min(results.below(gained), results.below(left)))),
        {
            f"drop at depth {deepest}": lost,
            f"gain at depth {deepest}": gained,
            f"still missing at depth {deepest}": left,
        },
        not_there(gain and left for gain, left in pairs),
    )


def _not_explained(results):
    surplus = instrumented_gain(results, EXPLAINING_SLOPE)
    if not surplus:
        return Evidence(missing="no student with teachers of different accuracy, in two seeds or more")
    return Evidence(
        results.below(surplus),
        results.above(surplus),
        estimates={"gain per point of the teacher's advantage": instrumented_slope(results)},
    )


def _removed_as_well(results):
    best = best_removals(results)
    groups = {
        f"{_case(case, best)}{_ways(runs)}, minus its residual baseline": results.differences(runs, baseline)
        for case, runs in best.items()
        if results.are_planned([case], baseline)
    }
    if not groups:
        return Evidence(missing="no student that loses its shortcuts beside its residual baseline")
    well, worse = _beside_the_margin(results, groups.values())
    whole = {MEAN_OVER_CASES: mean_over(groups.values())} if len(groups) > 1 else {}
    return Evidence(
        statistics.p_at_least(well, len(well)),
        statistics.p_at_least(worse, 1),
        groups | whole,
        cases=judge_cases(results, groups),
        missing=not_there(groups.values()),
    )


def _case(case, best):
    """A student whose removal is chosen: by its depth, if no other has that."""
    if sum(other.depth == case.depth for other in best) == 1:
        return f"depth {case.depth}"
    return naming.title(case)


def _ways(runs):
    """Which removals were chosen, and in how many seeds each: ", fade in 2 seeds, merge in 1 seed"."""
    ways = collections.Counter(naming.spec(run.shortcut_removal) for run in runs)
    told = [f"{way} in {n} seed{'' if n == 1 else 's'}" for way, n in ways.most_common()]
    return "".join(f", {way}" for way in (told if len(ways) > 1 else ways))


def _early_guidance(results):
    stays = results.conditions()
    pairs = {}  # by the epochs of the stay
    for runs in results.conditions(leaving=True).values():
        whole = stays.get(dataclasses.replace(runs[0], alpha_epochs=0).condition, [])
        if results.are_planned(runs, alone) and whole:
            pairs.setdefault(runs[0].alpha_epochs, []).append((results.gains(runs), results.gains(whole)))
    if not pairs:
        return Evidence(missing="no teacher that leaves early beside the same one that stays")
    epochs = min(pairs)
    early, full = (mean_over(groups) for groups in zip(*pairs[epochs], strict=True))
    surplus = combine(early, full, -MOST)
    is_there = results.above(full)
    return Evidence(
        max(is_there, results.above(surplus)),
        max(is_there, results.below(surplus)),
        {
            "gain when the teacher stays": full,
            f"gain when the teacher leaves after epoch {epochs}": early,
            "the latter, minus half of the former": surplus,
        },
        not_there(early and full for early, full in pairs[epochs]),
    )


def _more_than_regularisation(results):
    taught = results.conditions()
    groups = {}
    for runs in results.conditions(controls=True).values():
        own = dataclasses.replace(
            runs[0], teacher=dataclasses.replace(runs[0].teacher, control=None)
        ).condition
        if own in taught and results.are_planned(runs, alone):
            more = combine(results.gains(taught[own]), results.gains(runs), -1)
            groups.setdefault(runs[0].teacher.control, []).append(more)
    if not groups:
        return Evidence(missing="no control beside the teacher that it is made of")
    pooled = {control: mean_over(found) for control, found in groups.items()}
    ahead = [results.above(group) for group in pooled.values()]
    behind = [results.below(group) for group in pooled.values()]
    lacking = " and no ".join(_NEEDED[control] for control in _NEEDED if control not in groups)
    return Evidence(
        1.0 if lacking else statistics.p_at_least(ahead, len(ahead)),
        statistics.p_at_least(behind, 1),
        {f"gain by the teacher minus gain by {name!r}": group for name, group in pooled.items()},
        f"no {lacking}" if lacking else not_there(itertools.chain(*groups.values())),
    )


# Controls without which "more than regularisation" is not shown: another network's noise is easily beaten.
_NEEDED = {
    "smoothing": "student that smoothed labels teach",
    "shuffled": "student that shuffled logits teach",
}


@dataclasses.dataclass(frozen=True)
class Claim:
    """What is claimed and how it is judged.

    Attributes:
      statement: of the claim.
      rule: when it is supported, and when not.
      test: gives its `Evidence`.
      is_exclusive: False where one effect can pass the tests for and against it: one above 0 and less than
        the margin (M1, S1). It is supported then; else the smaller of two small p-values decides.
      in_pairs: whether its numbers are pairs: of a student, and of its teacher.
      is_slope: whether its numbers are points for a point, without a unit.
      of_other_losses: whether students count that another loss than KD alone taught.
    """

    statement: str
    rule: str
    test: Callable[[PairedResults], Evidence]
    is_exclusive: bool = True
    in_pairs: bool = False
    is_slope: bool = False
    of_other_losses: bool = False


# C1 to C4 after the abstract of arXiv:2006.16589; H1 to H3 after readers' notes on the paper (second-hand).
CLAIMS = {
    "C1": Claim(
        "In most cases the plain student with KD does as well as, or better than, the residual baseline of "
        "its depth.",
        "Cases are the plain students with a teacher that stays. A case does as well if its accuracy lies "
        "less than {margin} points below that of the residual network of its depth (one-sided paired t test "
        "over seeds). Supported: more than half of the cases do (partial conjunction test); not supported: "
        "at least half do worse. Each case for itself is as good by that test (non-inferiority), better if "
        "it lies above the residual network (superiority), or worse if it lies further below than {margin} "
        "points, each with Bonferroni's correction over the cases.",
        _as_well,
    ),
    "C2": Claim(
        "Sometimes it beats that baseline even with an inferior teacher.",
        "Supported: in at least one case (Bonferroni) the teacher is less accurate than the baseline and the "
        "student more (both one-sided paired t tests). Not supported: in every case the teacher is more "
        "accurate than the baseline or the student less (Bonferroni over the two, all cases). Where no "
        "teacher's mean accuracy is below, nothing is decided: there is no inferior teacher.",
        _inferior_teacher,
        in_pairs=True,
    ),
    "C3": Claim(
        "Past some depth the drop is substantial, and KD recovers a part of it (the paper: much of it) but "
        "not all.",
        "At the deepest networks of the study, mean over teachers. Supported: the drop is more than {margin} "
        "points, the gain is more than 0 and less than the drop (three one-sided paired t tests, all of "
        "them). Not supported: there is such a drop, and the gain is below 0 or above the drop (Bonferroni).",
        _deep_drop,
    ),
    "C4": Claim(
        "The gain is not explained by how much better the teacher is.",
        f"Supported: gain rises by less than {EXPLAINING_SLOPE} points for a point of the teacher's "
        "advantage, within students; not supported: by more. Tested as the covariance of the teachers' "
        f"accuracy, as the other seeds show it, with gain minus {EXPLAINING_SLOPE} x advantage (one-sided t "
        "test over seeds, after Anderson & Rubin 1949): so noise in a teacher's accuracy flattens nothing.",
        _not_explained,
        is_slope=True,
    ),
    "R1": Claim(
        "With the best shortcut removal and KD, the plain student is as good as the residual network of its "
        "depth, but for the margin.",
        "For each student (each depth, where they differ in that alone) and each seed the removal is taken "
        "that has the best mean accuracy on validation over the other seeds, of those with the most seeds. "
        "Supported: every student's test accuracy lies less than {margin} points below that of the residual "
        "network of its depth (one-sided paired t tests over seeds, all of them). Not supported: some "
        "student's lies further below (Bonferroni).",
        _removed_as_well,
    ),
    "M1": Claim(
        "Some method teaches the student better than KD does.",
        "Each student with another loss is compared with that of KD by the same teacher, of the same "
        "temperature and alpha where there are several. Supported: at least "
        "one is more accurate on test (one-sided paired t tests over seeds, Bonferroni). Not supported: that "
        "is not shown, and each lies less than {margin} points above KD (all of these tests).",
        better_than_kd,
        is_exclusive=False,
        of_other_losses=True,
    ),
    "H1": Claim(
        "Guidance in the first epochs alone keeps most of the gain.",
        "For the shortest stay of the study, mean over the students that have it. Supported: there is a gain "
        "when the teacher stays, and more than half of it remains when it leaves early (one-sided paired t "
        "tests, both). Not supported: there is one, and less than half remains.",
        _early_guidance,
    ),
    "H2": Claim(
        "A regularised student gains more, unless the teacher is strongly regularised too.",
        "Supported: by a weakly regularised teacher the most regularised student gains more than the least "
        "regularised one, and this surplus is smaller with the most regularised teacher (one-sided paired t "
        "tests, both; of networks that are regularised as strongly the mean). Not supported: either is the "
        "other way round (Bonferroni).",
        regularised_student_gains_more,
    ),
    "H3": Claim(
        "With a strongly regularised teacher, students of more capacity gain more.",
        "Supported: by the most regularised teacher the widest student gains more than the narrowest "
        "(one-sided paired t test); not supported: less.",
        wide_student_gains_more,
    ),
    "control": Claim(
        "What a teacher gives is more than regularisation.",
        "Supported: the teacher's student gains more than that of every control, smoothed labels and "
        "shuffled logits among them (one-sided paired t tests, all of them, mean over students). Not "
        "supported: some control gives more (Bonferroni).",
        _more_than_regularisation,
    ),
    "S1": Claim(
        "A teacher that began with its student's initial weights gives more than one with its own.",
        "Of students that one teaches and the other, mean over students. Supported: with the same initial "
        "weights the gain is larger (one-sided paired t test over seeds). Not supported: that is not shown, "
        "and it is less than {margin} points larger.",
        more_by_the_same_start,
        is_exclusive=False,
    ),
}
