"""What the data of a study say of a claim."""

import dataclasses

# What a difference is called that is the mean over all of a claim's cases, and none of them.
MEAN_OVER_CASES = "mean over cases"


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What the data say of a claim.

    Attributes:
      p_for, p_against: see `claims`.
      differences: `{label: {seed: difference in accuracy}}` behind them.
      estimates: `{label: statistics.Estimate}` of what is no mean over seeds: the slope of C4.
      cases: `cases.Case`s, where the claim is about each of several comparisons.
      missing: what the study lacks to decide the claim, in plain words; None if nothing.
    """

    p_for: float = 1.0
    p_against: float = 1.0
    differences: dict = dataclasses.field(default_factory=dict)
    missing: str | None = None
    cases: tuple = ()
    estimates: dict = dataclasses.field(default_factory=dict)


def not_there(groups):
    """How many of some `{seed: difference}` have no seed yet, in words; None where all have one."""
    groups = list(groups)
    absent = sum(not group for group in groups)
    if not absent:
        return None
    of_all = f"{absent} of its {len(groups)} comparisons" if len(groups) > 1 else "the comparison"
    return f"the runs of {of_all}"
