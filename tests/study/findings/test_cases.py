"""Each case of a claim for itself, on simulated studies whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from keras_kd.study.findings import cases
from keras_kd.study.findings.pairing import PairedResults

MARGIN = 0.01
STUDIES = 400
MOST_ERRORS = 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / STUDIES)
RESULTS = PairedResults({}, margin=MARGIN)


def judged(means, rng, seeds, noise=0.01):
    """Outcomes of simulated cases with these differences, which share half of the luck of their seeds."""
    luck = noise * rng.normal(size=seeds)
    groups = {
        str(number): dict(enumerate(mean + (luck + noise * rng.normal(size=seeds)) / np.sqrt(2)))
        for number, mean in enumerate(means)
    }
    return [case.outcome for case in cases.judge_cases(RESULTS, groups)]


@pytest.mark.parametrize("seeds", [5, *(pytest.param(each, marks=pytest.mark.slow) for each in (3, 8))])
@pytest.mark.parametrize(
    ("means", "wrong"),
    [
        ([-MARGIN] * 4, (cases.AS_GOOD, cases.BETTER)),
        ([-MARGIN] * 4, (cases.WORSE,)),
        ([0.0] * 4, (cases.BETTER, cases.WORSE)),
        ([0.0, -MARGIN, -MARGIN, -0.1], {0: cases.BETTER, 1: cases.AS_GOOD, 2: cases.AS_GOOD}),
    ],
    ids=["margin below", "margin below, worse", "equal", "mixed"],
)
def test_a_case_is_rarely_called_what_it_is_not(means, wrong, seeds, rng):
    """In at most one of twenty studies is any of its cases wrong, whatever the number of seeds."""
    errors = 0
    for _ in range(STUDIES):
        outcomes = judged(means, rng, seeds)
        if isinstance(wrong, dict):
            errors += any(outcomes[place] in (name, cases.BETTER) for place, name in wrong.items())
        else:
            errors += any(outcome in wrong for outcome in outcomes)
    assert errors / STUDIES <= MOST_ERRORS


@pytest.mark.parametrize(
    ("mean", "outcome"),
    [(0.05, cases.BETTER), (0.0, cases.AS_GOOD), (-0.06, cases.WORSE), (-0.01, cases.OPEN)],
)
def test_clear_cases_are_found(mean, outcome, rng):
    noise = 0.004 if outcome == cases.AS_GOOD else 0.01
    found = [judged([mean] * 2, rng, 5, noise)[0] for _ in range(100)]
    assert found.count(outcome) >= 80


def test_the_p_values_are_those_of_students_tests():
    values = [0.004, -0.002, 0.001]
    (case, _) = cases.judge_cases(RESULTS, {"a": dict(enumerate(values)), "b": {}})
    above, below = (
        lambda bound, kind=kind: 2 * stats.ttest_1samp(values, bound, alternative=kind).pvalue
        for kind in ("greater", "less")
    )
    expected = (above(0.0), above(-MARGIN), below(-MARGIN))
    assert (case.p_better, case.p_as_good, case.p_worse) == pytest.approx([min(1.0, p) for p in expected])


def test_cases_are_counted_in_words():
    outcomes = (cases.AS_GOOD, cases.WORSE, cases.AS_GOOD)
    found = [cases.Case("", outcome, 1.0, 1.0, 1.0) for outcome in outcomes]
    assert cases.in_words(found) == "of 3 cases 2 as good but for the margin, 1 worse by more than the margin"
