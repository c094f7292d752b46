"""What a study says of each claim, in words."""

import dataclasses

import pytest

from keras_kd.study.findings import report, sentences
from keras_kd.study.findings.results import LabelledComparison, VerdictSummary
from keras_kd.training import failures
from keras_kd.utils.statistics import Comparison, Estimate


def verdict(claim, word, *numbers, missing=None):
    compared = tuple(
        LabelledComparison(label, Comparison(Estimate(mean, low, high, 0.01, count), None, 0.5, 0.25))
        for label, mean, low, high, count in numbers
    )
    return VerdictSummary(claim, "So it is.", "The rule.", word, 0.5, 0.25, compared, missing)


# Student's t(4) is 2.776 for one interval, and 4.315 for one of four that hold at once: 1.55 times as wide.
MANY = [(f"case {number}", number / 100, number / 100 - 0.01, number / 100 + 0.01, 5) for number in range(4)]

# A student above the baseline whose teacher is that baseline is no case of an inferior teacher.
PAIRS = [
    (label, mean, mean - 0.01, mean + 0.01, 5)
    for label, mean in [("student", 0.03), ("twin", 0.0), ("its student", -0.02), ("inferior", -0.01)]
]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            verdict("H3", "undecided", ("the widest minus the narrowest", 0.011, -0.004, 0.026, 5)),
            "H3, undecided (p 0.50 for, 0.25 against): So it is. The widest minus the narrowest: +1.1 points "
            "(-0.4 to +2.6; 5 seeds).",
        ),
        (
            verdict("H3", "undecided", ("gain", -0.117, None, None, 1)),
            "H3, undecided: So it is. Gain: -11.7 points (one seed: no interval over seeds).",
        ),
        (
            verdict("C4", "supported", ("gain per point of advantage", 0.13, -0.31, 0.56, 5)),
            "C4, supported (p = 0.500): So it is. Gain per point of advantage: 0.13 (-0.31 to 0.56; "
            "5 seeds).",
        ),
        (
            verdict("C4", "undecided", ("gain per point of advantage", None, None, None, 5)),
            "C4, undecided: So it is. Gain per point of advantage: not defined, as the teachers differ too "
            "little in accuracy (5 seeds).",
        ),
        (
            verdict("C4", "supported", ("gain per point of advantage", None, None, None, 5)),
            "C4, supported (p = 0.500): So it is. Gain per point of advantage: on its side of the bound, by "
            "how much is not known, as the teachers differ too little in accuracy (5 seeds).",
        ),
        (
            verdict("R1", "undecided", *MANY, ("mean over cases", 0.05, 0.04, 0.06, 5)),
            "R1, undecided (p 0.50 for, 0.25 against): So it is. The highest of 4, case 3: +3.0 points "
            "(+1.3 to +4.7; 5 seeds); the lowest, case 0: +0.0 points (-1.7 to +1.7; 5 seeds); mean over "
            "cases: +5.0 points (+3.3 to +6.7; 5 seeds). (Intervals: all 5 at once.)",
        ),
        (
            verdict("M1", "not supported", *MANY),
            "M1, not supported (p = 0.250): So it is. The highest of 4, case 3: +3.0 points "
            "(+1.4 to +4.6; 5 seeds); the lowest, case 0: +0.0 points (-1.6 to +1.6; 5 seeds). "
            "(Intervals: all 4 at once.)",
        ),
        (
            verdict("M1", "undecided", *MANY[:3], ("case 3", 0.03, None, None, 1)),
            "M1, undecided (p 0.50 for, 0.25 against): So it is. The highest of 4, case 3: +3.0 points "
            "(one seed: no interval over seeds); the lowest, case 0: +0.0 points (-1.4 to +1.4; 5 seeds). "
            "(Intervals: all 3 at once.)",
        ),
        (
            verdict("C2", "undecided", *PAIRS),
            "C2, undecided (p 0.50 for, 0.25 against): So it is. Closest of 2, its student: -2.0 points "
            "(-3.6 to -0.4; 5 seeds); inferior: -1.0 points (-2.6 to +0.6; 5 seeds). "
            "(Intervals: all 4 at once.)",
        ),
        (
            verdict("H1", "undecided", missing="no teacher that leaves early"),
            "H1, undecided: So it is. To decide it the study lacks something: no teacher that leaves early.",
        ),
    ],
)
def test_a_claim_is_told_with_its_verdict_first_and_never_without_its_interval(found, text):
    assert sentences.of_verdict(found) == text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("its teacher r8w4-s0 failed", "its teacher r8w4-s0 failed"),
        ("TrainingDivergedError: loss is nan", "the loss became no number: a lower learning rate may help"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ResourceExhaustedError: {{function_node x}} OOM when allocating", "memory did not suffice"),
        ("ValueError: Exception encountered when calling Functional.call()", "the training ended with an er"),
    ],
)
def test_a_failure_is_told_without_what_libraries_say(error, words):
    assert failures.in_words(error).startswith(words)
    assert "Error" not in failures.in_words(error)


def test_a_p_near_the_level_is_told_in_digits_that_show_its_side():
    found = dataclasses.replace(verdict("H3", "undecided", ("gain", 0.01, 0.0, 0.02, 5)), p_for=0.0512)
    assert sentences.of_verdict(found).startswith("H3, undecided (p 0.051 for, 0.25 against): ")
    assert "(p = 0.051)" in report.sentence(found)
