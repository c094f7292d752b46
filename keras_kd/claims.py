"""The claims that a study can judge, each with its rule and its test.

Every claim is tested in both directions by rules that were written before the data were seen: `p_for` is
small where the data speak for it, `p_against` where they speak against it.
"""

import dataclasses
import itertools
from collections.abc import Callable

from keras_kd import comparisons
from keras_kd.paired import Results, combine, mean_over, mentor_minus_baseline, slopes, surplus_gain
from keras_kd.study import Mentor

LEVEL = 0.05

# C4: how much of a point of the teacher's advantage, at the least, a student that it explains would gain.
EXPLAINING_SLOPE = 0.5
# H1: the share of the gain that is "most".
MOST = 0.5


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the data say of a claim.

    Attributes:
      p_for, p_against: see the module.
      differences: `{label: {seed: difference in accuracy}}` behind them (of slopes for C4).
      missing: what the study lacks to test the claim, in plain words; None if nothing.
    """

    p_for: float = 1.0
    p_against: float = 1.0
    differences: dict = dataclasses.field(default_factory=dict)
    missing: str | None = None


def _as_well(results):
    cells = results.cells(variant="plain + KD")
    groups = {cell: results.differences(runs, lambda run: run.baseline) for cell, runs in cells.items()}
    groups = {cell: group for cell, group in groups.items() if group}
    if not groups:
        return Evidence(missing="no plain network with a mentor beside its residual baseline")
    well = [results.above(group, -results.margin) for group in groups.values()]
    worse = [results.below(group, -results.margin) for group in groups.values()]
    half = len(groups) // 2
    return Evidence(
        comparisons.p_at_least(well, half + 1),
        comparisons.p_at_least(worse, len(groups) - half),
        {f"{cell}, minus its residual baseline": group for cell, group in groups.items()},
    )


def _inferior_teacher(results):
    for_cases, against_cases, groups = [], [], {}
    for cell, runs in results.cells(variant="plain + KD").items():
        ahead = results.differences(runs, lambda run: run.baseline)
        behind = mentor_minus_baseline(results, runs)
        if not ahead or not behind:
            continue
        for_cases.append(max(results.below(behind), results.above(ahead)))
        against_cases.append(min(1.0, 2 * min(results.above(behind), results.below(ahead))))
        groups |= {
            f"{cell}, minus its residual baseline": ahead,
            f"{cell}: the mentor, minus that baseline": behind,
        }
    if not for_cases:
        return Evidence(missing="no mentor beside the baseline of its trainee")
    return Evidence(comparisons.p_at_least(for_cases, 1), max(against_cases), groups)


def _deep_drop(results):
    cells = results.cells(variant="plain + KD").values()
    whole = []  # of each cell: its runs, gain, and what is still missing
    for runs in cells:
        gained = results.gains(runs)
        left = {s: -d for s, d in results.differences(runs, lambda run: run.baseline).items()}
        if gained and left:
            whole.append((runs[0].depth, gained, left))
    if not whole:
        return Evidence(missing="no plain network with and without a mentor beside its residual baseline")
    deepest = max(depth for depth, _, _ in whole)
    gained, left = (mean_over([case[i] for case in whole if case[0] == deepest]) for i in (1, 2))
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
    )


def _not_explained(results):
    surplus = surplus_gain(results, EXPLAINING_SLOPE)
    if not surplus:
        return Evidence(missing="no trainee with mentors of different accuracy, in two seeds or more")
    return Evidence(
        results.below(surplus),
        results.above(surplus),
        {"points of gain per point of advantage, least squares in each seed": slopes(results)},
    )


def _early_guidance(results):
    stays = results.cells()
    leaves = {}
    for runs in results.cells(leaving=True).values():
        whole = dataclasses.replace(runs[0], mentor_epochs=0).cell
        early, full = results.gains(runs), results.gains(stays.get(whole, []))
        if early and full:
            leaves.setdefault(whole, {})[runs[0].mentor_epochs] = (early, full)
    shortest = {whole: min(by_epochs) for whole, by_epochs in leaves.items()}
    if not shortest:
        return Evidence(missing="no mentor that leaves early beside the same one that stays")
    early, full = (mean_over([leaves[w][epochs][i] for w, epochs in shortest.items()]) for i in range(2))
    surplus = combine(early, full, -MOST)
    is_there = results.above(full)
    epochs = ", ".join(map(str, sorted(set(shortest.values()))))
    return Evidence(
        max(is_there, results.above(surplus)),
        max(is_there, results.below(surplus)),
        {
            "gain when the mentor stays": full,
            f"gain when the mentor leaves after epoch {epochs}": early,
            "the latter, minus half of the former": surplus,
        },
    )


_UNREGULARISED = {"dropout": 0.0, "weight_decay": 0.0, "augmentation": "none"}


def strength(run):
    """How strongly a run is regularised: dropout, weight decay, augmentation ("auto" counts as "crop")."""
    ladder = {"none": 0, "auto": 1, "crop": 1, "crop_flip": 2}
    return (run.dropout, run.weight_decay, ladder[run.augmentation])


def _weak_and_strong(strengths):
    """The least and the most regularised, if the latter is so in every respect; else None."""
    weak, strong = (tuple(end(values) for values in zip(*strengths, strict=True)) for end in (min, max))
    return (weak, strong) if weak != strong and {weak, strong} <= set(strengths) else None


def _corners(results):
    """`[[{seed: gain}]]`: of weak trainees with weak and strong mentors, then of strong trainees likewise,
    for each trainee and mentor that the study has in all four combinations, all else being equal.
    """
    pairs = {}
    for runs in results.cells().values():
        trainee, mentor = runs[0], runs[0].mentor.network
        alike = dataclasses.replace(
            trainee, mentor=Mentor(dataclasses.replace(mentor, **_UNREGULARISED)), **_UNREGULARISED
        )
        pairs.setdefault(alike.cell, {})[strength(trainee), strength(mentor)] = results.gains(runs)
    found = []
    for gains in pairs.values():
        ends = [_weak_and_strong([place[i] for place in gains]) for i in range(2)]
        if all(ends) and all(gains.get(corner) for corner in itertools.product(*ends)):
            found.append([gains[corner] for corner in itertools.product(*ends)])
    return found


def _regularised_trainee(results):
    corners = _corners(results)
    if not corners:
        missing = (
            "no weakly and strongly regularised trainee, each with a weakly and a strongly regularised mentor"
        )
        return Evidence(missing=missing)
    weak_weak, weak_strong, strong_weak, strong_strong = map(mean_over, zip(*corners, strict=True))
    more = combine(strong_weak, weak_weak, -1)
    more_by_strong = combine(strong_strong, weak_strong, -1)
    interaction = combine(more, more_by_strong, -1)
    surplus = "gain of the regularised trainee minus that of the other, by a"
    return Evidence(
        max(results.above(more), results.above(interaction)),
        min(1.0, 2 * min(results.below(more), results.below(interaction))),
        {
            f"{surplus} weakly regularised mentor": more,
            f"{surplus} strongly regularised mentor": more_by_strong,
            "the former minus the latter": interaction,
        },
    )


def _capable_trainee(results):
    cells = list(results.cells().values())
    ends = cells and _weak_and_strong([strength(runs[0].mentor.network) for runs in cells])
    widths = {}
    for runs in cells:
        if ends and strength(runs[0].mentor.network) == ends[1]:
            alike = dataclasses.replace(runs[0], width=1).cell  # names the mentor too
            widths.setdefault(alike, {})[runs[0].width] = results.gains(runs)
    several = [by_width for by_width in widths.values() if len(by_width) > 1]
    more = mean_over([combine(by_width[max(by_width)], by_width[min(by_width)], -1) for by_width in several])
    if not more:
        return Evidence(missing="no trainee of several widths with a strongly regularised mentor")
    label = "gain of the widest minus gain of the narrowest trainee, strongly regularised mentor"
    return Evidence(results.above(more), results.below(more), {label: more})


def _more_than_regularisation(results):
    taught = results.cells()
    groups = {}
    for runs in results.cells(controls=True).values():
        own = dataclasses.replace(runs[0], mentor=dataclasses.replace(runs[0].mentor, control=None)).cell
        if own in taught:
            control = results.gains(runs)
            groups.setdefault(runs[0].mentor.control, []).append(
                combine(results.gains(taught[own]), control, -1)
            )
    pooled = {control: mean_over(found) for control, found in groups.items()}
    if not any(pooled.values()):
        return Evidence(missing="no control beside the mentor that it is made of")
    ahead = [results.above(group) for group in pooled.values()]
    behind = [results.below(group) for group in pooled.values()]
    return Evidence(
        comparisons.p_at_least(ahead, len(ahead)),
        comparisons.p_at_least(behind, 1),
        {f"gain by the mentor minus gain by {name!r}": group for name, group in pooled.items()},
    )


@dataclasses.dataclass(frozen=True)
class Claim:
    """What is claimed, the rule by which it is judged, and the test that gives its `Evidence`."""

    statement: str
    rule: str
    test: Callable[[Results], Evidence]


# C1 to C4 after the abstract of arXiv:2006.16589; H1 to H3 after readers' notes on the paper (second-hand).
CLAIMS = {
    "C1": Claim(
        "In most cases the plain student with KD does as well as, or better than, the residual baseline of "
        "its depth.",
        "Cases are the plain students with a mentor that stays. A case does as well if its accuracy lies "
        "less than {margin} points below that of the residual network of its depth (one-sided paired t test "
        "over seeds). Supported: more than half of the cases do (partial conjunction test); not supported: "
        "at least half do worse.",
        _as_well,
    ),
    "C2": Claim(
        "Sometimes it beats that baseline even with an inferior teacher.",
        "Supported: in at least one case (Bonferroni) the mentor is less accurate than the baseline and the "
        "student more (both one-sided paired t tests). Not supported: in every case the mentor is more "
        "accurate than the baseline or the student less (Bonferroni over the two, all cases).",
        _inferior_teacher,
    ),
    "C3": Claim(
        "Past some depth the drop is substantial, and KD recovers a part of it (the paper: much of it) but "
        "not all.",
        "At the deepest networks of the study, mean over mentors. Supported: the drop is more than {margin} "
        "points, the gain is more than 0 and less than the drop (three one-sided paired t tests, all of "
        "them). Not supported: there is such a drop, and the gain is below 0 or above the drop (Bonferroni).",
        _deep_drop,
    ),
    "C4": Claim(
        "The gain is not explained by how much better the teacher is.",
        f"Supported: gain rises by less than {EXPLAINING_SLOPE} points for a point of the mentor's "
        "advantage, within trainees; not supported: by more. Tested as the covariance of the mentors' "
        f"accuracy, as the other seeds show it, with gain minus {EXPLAINING_SLOPE} x advantage (one-sided t "
        "test over seeds, after Anderson & Rubin 1949): so noise in a mentor's accuracy flattens nothing.",
        _not_explained,
    ),
    "H1": Claim(
        "Guidance in the first epochs alone keeps most of the gain.",
        "For the shortest stay of the study, mean over trainees. Supported: there is a gain when the mentor "
        "stays, and more than half of it remains when it leaves early (one-sided paired t tests, both). Not "
        "supported: there is one, and less than half remains.",
        _early_guidance,
    ),
    "H2": Claim(
        "A regularised trainee gains more, unless the mentor is strongly regularised too.",
        "Supported: by a weakly regularised mentor the most regularised trainee gains more than the least "
        "regularised one, and this surplus is smaller with the most regularised mentor (one-sided paired t "
        "tests, both). Not supported: either is the other way round (Bonferroni).",
        _regularised_trainee,
    ),
    "H3": Claim(
        "With a strongly regularised mentor, trainees of more capacity gain more.",
        "Supported: by the most regularised mentor the widest trainee gains more than the narrowest "
        "(one-sided paired t test); not supported: less.",
        _capable_trainee,
    ),
    "control": Claim(
        "What a mentor gives is more than regularisation.",
        "Supported: the mentor's trainee gains more than that of every control (one-sided paired t tests, "
        "all of them, mean over trainees). Not supported: some control gives more (Bonferroni).",
        _more_than_regularisation,
    ),
}
