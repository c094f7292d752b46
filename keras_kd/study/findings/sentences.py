"""What a study found, in sentences: of each claim the verdict first, then the effect with its interval.

C3, supported (p = 0.005): Past some depth the drop is ... Drop at depth 56: +67.6 points (+60.6 to +74.5; ...

Intervals have two sides and 95 %, each alone; where the extremes of many are told they hold for all of these
at once, and that is said. Verdicts come from one-sided tests that are corrected: their p stands beside them.
"""

import dataclasses

from keras_kd.reporting import formatting
from keras_kd.study.findings import cases, verdicts
from keras_kd.study.findings.claims import CLAIMS
from keras_kd.study.findings.evidence import MEAN_OVER_CASES
from keras_kd.utils import statistics

# So many differences are told one by one; of more the highest and the lowest.
MOST_TOLD = 3


def of_study(summary, replications=()):
    """The sentences of a `results.StudySummary`: one text for each claim.

    `replications` say which verdicts came again with other seeds.
    """
    again = {each.claim: each.sentence for each in replications}
    return [of_verdict(verdict, again.get(verdict.claim)) for verdict in summary.verdicts]


def of_verdict(verdict, again=None):
    """A `results.VerdictSummary` in words: verdict, claim, whether it came again, effect."""
    statement = verdict.statement if verdict.statement.endswith(".") else f"{verdict.statement}."
    told = (f"{verdict.claim}, {verdict.verdict}{_p_of(verdict)}: {statement}", again, effect(verdict))
    return " ".join(filter(None, told))


def effect(verdict):
    """What was measured, with intervals over seeds; or what the study lacks."""
    lacks = f"To decide it the study lacks something: {verdict.missing}." if verdict.missing else ""
    told = _told(verdict)
    if len(verdict.cases) > 1:
        told = [cases.in_words(verdict.cases), *told]
    effects = f"{_first_upper('; '.join(told))}." if told else ""
    return " ".join(filter(None, (effects, _basis(verdict.numbers), lacks)))


def _p_of(verdict):
    """The p of a verdict; nothing where none was decided for want of runs, or of several seeds."""
    told = {verdicts.SUPPORTED: verdict.p_for, verdicts.NOT_SUPPORTED: verdict.p_against}
    if verdict.verdict in told:
        return f" (p {formatting.equals(told[verdict.verdict])})"
    if verdict.missing or not _intervals(verdict.numbers):
        return ""
    return f" (p {formatting.p_value(verdict.p_for)} for, {formatting.p_value(verdict.p_against)} against)"


def _basis(numbers):
    """What the intervals hold for where it is more than each alone."""
    count = _intervals(numbers)
    return f"(Intervals: all {count} at once.)" if len(numbers) > MOST_TOLD and count > 1 else ""


def _intervals(numbers):
    return sum(number.comparison.difference.low is not None for number in numbers)


def _told(verdict):
    """The numbers that are told, each with what it is of."""
    numbers = list(verdict.numbers)
    if len(numbers) <= MOST_TOLD:
        return [f"{each.label}: {amount(each, verdict)}" for each in numbers]
    numbers = [_of_many(each, _intervals(verdict.numbers)) for each in numbers]
    if CLAIMS[verdict.claim].in_pairs:
        return _closest_pair(numbers, verdict)
    over_cases = [each for each in numbers if each.label == MEAN_OVER_CASES]
    single = sorted((each for each in numbers if each not in over_cases), key=_mean)
    ends = {f"the highest of {len(single)}": single[-1], "the lowest": single[0]}
    told = [f"{place}, {each.label}: {amount(each, verdict)}" for place, each in ends.items()]
    return told + [f"{each.label}: {amount(each, verdict)}" for each in over_cases]


def _of_many(number, count):
    """A number whose interval holds together with those of all others."""
    found = number.comparison.difference
    if found.low is None:
        return number
    found = statistics.with_confidence(found, statistics.simultaneous(count))
    return dataclasses.replace(number, comparison=dataclasses.replace(number.comparison, difference=found))


def _closest_pair(numbers, verdict):
    """The inferior teacher whose student lies highest above its baseline: that student, and the teacher."""
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    student, teacher = max(pairs, key=lambda pair: (_mean(pair[1]) < 0, _mean(pair[0])))
    return [
        f"closest of {len(pairs)}, {student.label}: {amount(student, verdict)}",
        f"{teacher.label}: {amount(teacher, verdict)}",
    ]


def _mean(number):
    return number.comparison.difference.mean


def amount(number, verdict):
    """A `results.LabelledComparison` with its unit, interval and number of seeds."""
    found = number.comparison.difference
    is_slope = CLAIMS[verdict.claim].is_slope
    unit, show = ("", formatting.plain) if is_slope else (" points", formatting.points)
    seeds = formatting.counted(found.count, "seed")
    if found.mean is None:
        is_decided = verdict.verdict != verdicts.UNDECIDED
        size = "on its side of the bound, by how much is not known" if is_decided else "not defined"
        return f"{size}, as the teachers differ too little in accuracy ({seeds})"
    if found.low is None:
        return f"{show(found.mean)}{unit} (one seed: no interval over seeds)"
    return f"{show(found.mean)}{unit} ({show(found.low)} to {show(found.high)}; {seeds})"


def _first_upper(text):
    return text[:1].upper() + text[1:]
