"""The same study with other seeds: which verdicts come again.

found = replication.compare(first, second)
"""

import dataclasses
import operator

from keras_kd.study.findings import naming, verdicts
from keras_kd.utils import files

STABLE, NOT_STABLE, OPEN = "stable", "not stable", "undecided in both"


@dataclasses.dataclass(frozen=True)
class Replication:
    """A claim's verdicts over two sets of seeds.

    Attributes:
      claim: its name.
      first, second: verdicts, see `verdicts.Verdict`.
      first_seeds, second_seeds: whole numbers.
    """

    claim: str
    first: str
    second: str
    first_seeds: tuple[int, ...]
    second_seeds: tuple[int, ...]

    @property
    def outcome(self):
        """`STABLE` where both decide alike, `OPEN` where neither decides, else `NOT_STABLE`."""
        if self.first != self.second:
            return NOT_STABLE
        return OPEN if self.first == verdicts.UNDECIDED else STABLE

    @property
    def sentence(self):
        """What came of it, in words."""
        first, second = seeds_in_words(self.first_seeds), seeds_in_words(self.second_seeds)
        if self.outcome == OPEN:
            return f"Undecided with seeds {first} and again with {second}."
        if self.outcome == STABLE:
            return f"Stable over both sets of seeds, {first} and {second}: {self.first}."
        opposite = " (the opposite)" if verdicts.UNDECIDED not in (self.first, self.second) else ""
        return (
            f"Not stable over both sets of seeds: {self.first} with {first}, "
            f"{self.second}{opposite} with {second}."
        )


def seeds_in_words(seeds):
    """ "0 to 4", or all of them where some between are missing."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered))


@dataclasses.dataclass(frozen=True)
class StudyPlan:
    """What a study asks of which data: all that the same study with other seeds must share.

    Attributes:
      study, seeds, margin, claims: see `config.StudyConfig`.
      conditions: `{design.Run.condition: its title}`.
      description: of data and settings, as far as they are known; see `training.description.describe`.
    """

    study: str
    seeds: tuple[int, ...]
    margin: float
    claims: tuple[str, ...]
    conditions: dict
    description: dict

    @classmethod
    def of_config(cls, study, description):
        """Of a `config.StudyConfig`, before anything is trained."""
        conditions = {run.condition: naming.title(run) for run in study.runs}
        return cls(study.name, study.seeds, study.margin, study.claims, conditions, description)

    @classmethod
    def of_result(cls, result):
        """Of a `results.StudyResult`."""
        found = result.summary
        conditions = {row.condition: row.condition for row in found.rows}  # of failed ones there is no title
        conditions |= {each.condition.name: each.condition.title for each in found.conditions}
        return cls(result.study, result.seeds, result.margin, result.claims, conditions, result.description)


def compare(first, second):
    """A `Replication` for each claim of both.

    Args:
      first, second: `results.StudyResult`s of the same study, with other seeds.

    Raises:
      ValueError: as `check`.
    """
    check(StudyPlan.of_result(first), StudyPlan.of_result(second))
    before = {each.claim: each.verdict for each in first.summary.verdicts}
    return tuple(
        Replication(each.claim, before[each.claim], each.verdict, tuple(first.seeds), tuple(second.seeds))
        for each in second.summary.verdicts
    )


def check(first, second):
    """Raises a ValueError if a `StudyPlan` does not repeat the first one.

    They share no seed, and all else: name, margin, claims, conditions, and of data and recipe what both know.
    """
    check_other_seeds(first, second.study, second.seeds)
    if first.margin != second.margin:
        raise ValueError(
            f"a study is repeated with the same margin: it was {first.margin:g} and is {second.margin:g}"
        )
    if set(first.claims) != set(second.claims):
        raise ValueError(
            f"a study is repeated with the same claims: they were {', '.join(first.claims)} and are "
            f"{', '.join(second.claims)}"
        )
    for place, one, other in (("first", first, second), ("second", second, first)):
        alone = [title for name, title in one.conditions.items() if name not in other.conditions]
        if alone:
            raise ValueError(
                f"a study is repeated with the same networks: {len(alone)} of the {place} "
                f"{'is' if len(alone) == 1 else 'are'} not in the other, as {alone[0]}"
            )
    changes = _differences(first.description, second.description)
    if changes:
        raise ValueError(f"a study is repeated on the same data with the same recipe: {changes[0]}")


def check_other_seeds(first, study, seeds):
    """Raises a ValueError if a study of that name and those seeds does not repeat the result `first`."""
    if first.study != study:
        raise ValueError(f"a study is repeated by itself. Received: {first.study!r} and {study!r}")
    both = sorted(set(first.seeds) & set(seeds))
    if both:
        raise ValueError(
            f"a study is repeated with other seeds: these are {seeds_in_words(seeds)}, and the first has "
            f"{seeds_in_words(first.seeds)}"
        )


# What is said of data and recipe that may differ.
_FREE = ("name", "absolute_name", "seed")


def _differences(first, second):
    """What data and recipes differ in, of what both tell."""
    first, second = (files.plain_values(each) for each in (first, second))
    return [
        change for part in ("dataset", "settings") for change in _changes(first.get(part), second.get(part))
    ]


def _changes(one, two, name=""):
    """In words, where two values differ; of dicts what both have is compared."""
    if isinstance(one, dict) and isinstance(two, dict):
        common = [key for key in one if key in two and key not in _FREE]
        return [change for key in common for change in _changes(one[key], two[key], key)]
    same = _may_be_alike if name == "test" else operator.eq
    return [] if None in (one, two) or same(one, two) else [f"{name} was {one!r} and is {two!r}"]


def _may_be_alike(one, two):
    """Whether two numbers of test images can be one: a table tells a divisor of it, or 0, if at all."""
    small, large = sorted((one, two))
    return small == 0 or large % small == 0


def with_first(result, first):
    """The result with what came of it as a repetition of `first`; as it is where that is None."""
    return result if first is None else dataclasses.replace(result, replications=compare(first, result))
