"""Which lesions are measured, drawn at random, and what was measured under them.

plan = plan_lesions(blocks, pairs, draws=5, most=10, seed=0)
results = plan.results(accuracy(lesion) for lesion in plan.lesions)
"""

import dataclasses
import itertools
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class LesionResults:
    """Accuracies under lesions, in [0, 1].

    Attributes:
      intact: without any.
      single: `{block: accuracy}` with that block silenced.
      silenced: `{number of silenced blocks: accuracies, one per draw}`.
      swapped: `{number of swaps: accuracies, one per draw}`.
    """

    intact: float
    single: dict
    silenced: dict
    swapped: dict

    @classmethod
    def from_json(cls, values):
        """JSON has texts for the numbers of blocks."""
        many = {
            name: {int(count): draws for count, draws in values[name].items()}
            for name in ("silenced", "swapped")
        }
        return cls(**values | many)

    def to_arrays(self):
        """`{name: array}`; `silenced` and `swapped` have a row a number, from 1, filled up with NaN."""
        return {
            "intact": self.intact,
            "blocks": np.array(list(self.single), str),
            "single": list(self.single.values()),
            "silenced": _rows(self.silenced),
            "swapped": _rows(self.swapped),
        }

    @classmethod
    def from_arrays(cls, arrays):
        many = (
            {count: row[np.isfinite(row)].tolist() for count, row in enumerate(arrays[name], 1)}
            for name in ("silenced", "swapped")
        )
        single = dict(zip(arrays["blocks"].tolist(), arrays["single"].tolist(), strict=True))
        return cls(float(arrays["intact"]), single, *many)


def _rows(many):
    rows = np.full((len(many), max(map(len, many.values()), default=0)), np.nan)
    for row, draws in zip(rows, many.values(), strict=True):
        row[: len(draws)] = draws
    return rows


@dataclasses.dataclass(frozen=True)
class Lesion:
    """What is done to a network at once.

    Attributes:
      silenced: names of blocks.
      swapped: pairs of names, swapped one after the other.
    """

    silenced: tuple = ()
    swapped: tuple = ()


@dataclasses.dataclass(frozen=True)
class LesionPlan:
    """Which lesions are measured, in the order of `LesionResults`.

    Attributes:
      single: `{block: Lesion}`.
      silenced, swapped: `{number: [Lesion]}`.
    """

    single: dict
    silenced: dict
    swapped: dict

    @property
    def lesions(self):
        """All of them in a list, none at all first."""
        many = itertools.chain(*self.silenced.values(), *self.swapped.values())
        return [Lesion(), *self.single.values(), *many]

    def results(self, accuracies):
        """`LesionResults` of the accuracies under `lesions`, in their order."""
        left = iter(map(float, accuracies))
        return LesionResults(
            next(left),
            {block: next(left) for block in self.single},
            *(
                {count: list(itertools.islice(left, len(draws))) for count, draws in many.items()}
                for many in (self.silenced, self.swapped)
            ),
        )


def plan_lesions(blocks, pairs, *, draws=5, most=20, seed=0):
    """Draws lesions; they depend on the arguments alone.

    Args:
      blocks: names of the blocks to silence.
      pairs: of blocks to swap.
      draws: random lesions for each number of blocks; fewer where there are not so many to draw.
      most: the largest number of silenced blocks, and of swaps, each of another pair.
      seed: of the draws.

    Returns:
      A `LesionPlan`.

    Source: Veit et al. 2016, arXiv:1605.06431, figure 3 (single), figure 5 a (silenced) and figure 5 b
    (swapped; there over Kendall's tau, here over the number of swaps).
    """
    for_subsets, for_swaps = np.random.default_rng(seed).spawn(2)
    silenced = {
        count: [Lesion(silenced=subset) for subset in _subsets(blocks, count, draws, for_subsets)]
        for count in range(1, min(most, len(blocks)) + 1)
    }
    swapped = {
        count: [Lesion(swapped=swaps) for swaps in _swaps(pairs, count, draws, for_swaps)]
        for count in range(1, min(most, len(pairs)) + 1)
    }
    return LesionPlan({block: Lesion(silenced=(block,)) for block in blocks}, silenced, swapped)


def _subsets(blocks, count, draws, random):
    """All subsets of `count` blocks where there are at most `draws`, else as many at random."""
    if math.comb(len(blocks), count) <= draws:
        return list(itertools.combinations(blocks, count))
    return [
        tuple(blocks[i] for i in sorted(random.choice(len(blocks), count, replace=False)))
        for _ in range(draws)
    ]


def _swaps(pairs, count, draws, random):
    """Single pairs are different ones, all of them where there are at most `draws`.

    More swaps follow each other, so their order counts; a pair that is swapped twice is back in its place.
    """
    if count == 1:
        return [(pairs[i],) for i in sorted(random.permutation(len(pairs))[:draws])]
    return [tuple(pairs[i] for i in random.permutation(len(pairs))[:count]) for _ in range(draws)]
