"""The same study with other seeds: which verdicts come again.

found = replication.compare(first, second)
"""

import dataclasses

from keras_kd.study.findings import verdicts

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


def compare(first, second):
    """A `Replication` for each claim of both.

    Args:
      first, second: `results.StudyResult`s of the same study, with other seeds.

    Raises:
      ValueError: if they share a seed, or differ in study, data or recipe.
    """
    check_other_seeds(first, second.study, second.seeds)
    changes = _differences(first, second)
    if changes:
        raise ValueError(f"a study is repeated on the same data with the same recipe: {changes[0]}")
    before = {each.claim: each.verdict for each in first.summary.verdicts}
    return tuple(
        Replication(each.claim, before[each.claim], each.verdict, tuple(first.seeds), tuple(second.seeds))
        for each in second.summary.verdicts
        if each.claim in before
    )


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


def _differences(first, second):
    """What data and recipes differ in, of what both tell."""
    found = []
    for part, ignored in (("dataset", ("name",)), ("settings", ("seed",))):
        one, two = first.description.get(part, {}), second.description.get(part, {})
        found += [
            f"{name} was {one[name]!r} and is {two[name]!r}"
            for name in one
            if name in two and name not in ignored and one[name] != two[name]
        ]
    return found


def with_first(result, first):
    """The result with what came of it as a repetition of `first`; as it is where that is None."""
    return result if first is None else dataclasses.replace(result, replications=compare(first, result))
