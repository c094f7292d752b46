"""Results of analyses as frozen dataclasses of plain values, and as JSON at the edge.

Plain values are numbers, texts, lists and dicts, with None for what is not finite or not measured.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class GroupResult:
    """What one analysis found about networks that are compared with each other.

    Attributes:
      name: in words.
      result: of the analysis; has `networks`, which have a `label` and numbers.
      seed: of the networks' training.
      kind: what a study's networks of other seeds share, in words; None of other runs.
      files: `{label: fingerprint of the network's file}`.
      pairs: `[[label, label]]`, whose difference is of interest: a network and what it is compared with.
      twin: label of the residual twin of the others, or None.
      titles: `{label: the network in words}`.
    """

    name: str
    result: Any
    seed: int | None = None
    kind: str | None = None
    files: dict = dataclasses.field(default_factory=dict)
    pairs: list = dataclasses.field(default_factory=list)
    twin: str | None = None
    titles: dict = dataclasses.field(default_factory=dict)

    def to_json(self):
        about = {name: getattr(self, name) for name in _ABOUT}
        return about | self.result.to_json()

    @classmethod
    def from_json(cls, values, result_type):
        about = {name: values[name] for name in _ABOUT if name in values}
        return cls(result=result_type.from_json(values), **about)


def worth_of_an_image(groups):
    """The accuracy that one image is worth in the `GroupResult` of the fewest; 0 where one does not say."""
    counts = [group.result.images for group in groups]
    return 0.0 if None in counts else 1 / min(counts)


_ABOUT = ("name", "kind", "seed", "files", "pairs", "twin", "titles")
