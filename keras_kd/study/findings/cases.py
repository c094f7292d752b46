"""Each case of a claim for itself: better than its residual baseline, as good but for the margin, or worse.

"As good" is a test of non-inferiority with the study's margin, "better" one of superiority. A network that
is better is as good too, so within a case the second needs no correction for the first; over cases both are
corrected.
"""

import dataclasses

LEVEL = 0.05

BETTER, AS_GOOD, WORSE, OPEN = "better", "as good", "worse", "undecided"

# Outcomes in words, in the order in which they are told.
_WORDS = {
    BETTER: "better",
    AS_GOOD: "as good but for the margin",
    WORSE: "worse by more than the margin",
    OPEN: "undecided",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A case and what became of it.

    Attributes:
      label: what is compared.
      outcome: `BETTER`, `AS_GOOD`, `WORSE` or `OPEN`.
      p_better, p_as_good, p_worse: one-sided paired t tests over seeds, times the number of cases
        (Bonferroni): that the mean difference is above 0, above minus the margin, below minus the margin.
    """

    label: str
    outcome: str
    p_better: float
    p_as_good: float
    p_worse: float


def judge_cases(results, groups):
    """A `Case` for each group of paired differences.

    Args:
      results: a `pairing.PairedResults`.
      groups: `{label: {seed: accuracy minus that of the baseline}}`.

    Source: CPMP 2001, Points to consider on switching between superiority and non-inferiority, British
    Journal of Clinical Pharmacology 52, 223-228.
    """
    return tuple(_case(results, label, group, len(groups)) for label, group in groups.items())


def _case(results, label, group, count):
    bound = -results.margin
    tests = (results.above(group), results.above(group, bound), results.below(group, bound))
    better, as_good, worse = (min(1.0, count * p) for p in tests)
    decided = zip((BETTER, AS_GOOD, WORSE), (better, as_good, worse), strict=True)
    outcome = next((name for name, p in decided if p <= LEVEL), OPEN)
    return Case(label, outcome, better, as_good, worse)


def in_words(cases):
    """How many cases came out how: "of 6 cases 2 as good but for the margin, 4 undecided"."""
    counts = {name: sum(case.outcome == name for case in cases) for name in _WORDS}
    told = [f"{count} {_WORDS[name]}" for name, count in counts.items() if count]
    return f"of {len(cases)} cases {', '.join(told)}"
