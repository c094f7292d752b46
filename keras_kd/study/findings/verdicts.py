"""What becomes of claims: a verdict for each, corrected for being tested together."""

import dataclasses

from keras_kd.reporting.formatting import counted
from keras_kd.study.findings.cases import LEVEL
from keras_kd.study.findings.claims import CLAIMS
from keras_kd.study.findings.evidence import Evidence
from keras_kd.utils import statistics

SUPPORTED, NOT_SUPPORTED, UNDECIDED = "supported", "not supported", "undecided"


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
      results: a `pairing.PairedResults`.
      failed: how many runs failed. They may have failed because of what is compared, so that the others
        are no fair sample: nothing is decided then.
    """
    evidence = [_with_other_losses(name, CLAIMS[name].test(results), results) for name in claims]
    if failed:
        missing = f"{counted(failed, 'run')} failed, and what would have come of that is part of the answer"
        nothing = {"p_for": 1.0, "p_against": 1.0, "cases": (), "missing": missing}
        evidence = [dataclasses.replace(each, **nothing) for each in evidence]
    corrected_for = statistics.holm([each.p_for for each in evidence])
    corrected_against = statistics.holm([each.p_against for each in evidence])
    margin = f"{100 * results.margin:g}"
    return [
        _verdict(name, margin, p_for, p_against, found)
        for name, p_for, p_against, found in zip(
            claims, corrected_for, corrected_against, evidence, strict=True
        )
    ]


def _with_other_losses(name, evidence, results):
    """What a claim lacks may be there, taught by another loss: only M1 is about those."""
    if CLAIMS[name].of_other_losses or evidence.missing is None or not results.conditions(other_losses=True):
        return evidence
    words = f"{evidence.missing} (students of another loss than kd alone count for M1 only)"
    return dataclasses.replace(evidence, missing=words)


def _verdict(name, margin, p_for, p_against, evidence):
    claim = CLAIMS[name]
    word = _decide(p_for, p_against, claim.is_exclusive)
    if word != UNDECIDED:  # whatever is not there yet
        evidence = dataclasses.replace(evidence, missing=None)
    return Verdict(name, claim.statement, claim.rule.format(margin=margin), word, p_for, p_against, evidence)


def _decide(p_for, p_against, is_exclusive):
    if p_for <= LEVEL and (p_for <= p_against or not is_exclusive):
        return SUPPORTED
    return NOT_SUPPORTED if p_against <= LEVEL else UNDECIDED
