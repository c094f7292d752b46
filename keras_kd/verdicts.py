"""What a comparison of accuracies says: drop, gain and recovery, and a verdict per claim.

Over the claims that a study tests together each direction is corrected by Holm's procedure, so that in all at
most one study in twenty calls a false claim supported, and one in twenty a true one not supported. What is in
between is undecided.
"""

import dataclasses

from keras_kd import comparisons
from keras_kd.claims import CLAIMS, LEVEL, Evidence

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"


def drop(residual, plain):
    """What the shortcuts are worth: accuracy of residual(d) minus accuracy of plain(d)."""
    return residual - plain


def gain(taught, alone):
    """What the teacher is worth: accuracy of the student taught minus that of the student alone."""
    return taught - alone


def recovery(residual, plain, taught):
    """The share of the drop that the teacher brings back.

    Args:
      residual: accuracy of residual(d).
      plain: accuracy of plain(d) trained alone.
      taught: accuracy of plain(d) with a teacher.

    Returns:
      gain / drop: 1 is all of it, more is better than the residual network. None where there
      is no drop to recover.
    """
    lost = drop(residual, plain)
    return gain(taught, plain) / lost if lost > 0 else None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim and what became of it.

    Attributes:
      claim, statement, rule: its name, its words, and how it is judged.
      verdict: `SUPPORTED`, `NOT_SUPPORTED` or `UNDECIDED`.
      p_for, p_against: after Holm's correction.
      evidence: the `Evidence`.
    """

    claim: str
    statement: str
    rule: str
    verdict: str
    p_for: float
    p_against: float
    evidence: Evidence


def judge(claims, results, failed=0):
    """A `Verdict` for each claim, corrected for being tested together.

    Args:
      claims: names of `CLAIMS`.
      results: a `paired.Results`.
      failed: how many runs failed. They may have failed because of what is compared, so that the others
        are no fair sample: nothing is decided then.
    """
    evidence = [CLAIMS[name].test(results) for name in claims]
    if failed:
        missing = f"{failed} runs failed, and what they would have given is part of the answer"
        evidence = [dataclasses.replace(each, p_for=1.0, p_against=1.0, missing=missing) for each in evidence]
    corrected_for = comparisons.holm([each.p_for for each in evidence])
    corrected_against = comparisons.holm([each.p_against for each in evidence])
    margin = f"{100 * results.margin:g}"
    return [
        Verdict(
            name,
            CLAIMS[name].statement,
            CLAIMS[name].rule.format(margin=margin),
            _decide(p_for, p_against),
            p_for,
            p_against,
            found,
        )
        for name, p_for, p_against, found in zip(
            claims, corrected_for, corrected_against, evidence, strict=True
        )
    ]


def _decide(p_for, p_against):
    if p_for <= LEVEL and p_for <= p_against:
        return SUPPORTED
    return NOT_SUPPORTED if p_against <= LEVEL else UNDECIDED
