"""Dataclasses as JSON: what lacks is named, what is called otherwise there is found."""

import dataclasses
import json
import math

import pytest

from keras_kd.utils import files, records
from keras_kd.utils.records import field_values, json_values


@dataclasses.dataclass(frozen=True)
class Pair:
    one: float
    other: int = 2


@dataclasses.dataclass(frozen=True)
class Renamed:
    value: int

    def to_json(self):
        return {"old": self.value}

    @classmethod
    def from_json(cls, values):
        return cls(values["old"])


@dataclasses.dataclass(frozen=True)
class Nested:
    pair: Pair
    maybe: Pair | None
    several: tuple[Pair, ...]
    named: dict[str, Pair]
    renamed: Renamed
    numbers: list
    loose: int | str | None = None


def test_what_is_no_field_is_left_out_and_what_has_a_default_may_lack():
    assert Pair(**field_values(Pair, {"first": 1, "more": 3}, {"one": "first"})) == Pair(1)
    assert json_values(Pair(1), {"one": "first"}) == {"first": 1, "other": 2}
    with pytest.raises(ValueError, match="a stored Pair has no 'one'; it has more"):
        records.from_json(Pair, {"more": 3})


@pytest.mark.parametrize("maybe", [None, Pair(3)])
def test_what_is_within_comes_back(maybe):
    nested = Nested(Pair(1), maybe, (Pair(2), Pair(3)), {"a": Pair(4)}, Renamed(5), [1, None])
    values = json.loads(json.dumps(files.plain_values(nested))) | {"renamed": {"old": 5}}
    assert records.from_json(Nested, values) == nested


def test_a_field_that_lacks_within_is_named():
    values = files.plain_values(Nested(Pair(1), None, (), {}, Renamed(5), []))
    with pytest.raises(ValueError, match="a stored Pair has no 'one'"):
        records.from_json(Nested, values | {"several": [{"other": 1}]})


def test_what_is_not_finite_is_none():
    assert records.finite(Pair(math.nan)) == Pair(None)
    assert records.finite(Pair(math.inf, 3)) == Pair(None, 3)
    assert records.finite(Pair(0.5)) == Pair(0.5)
