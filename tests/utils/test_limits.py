import math

import numpy as np
import pytest

from keras_kd.utils import limits

HOSTILE = ["", "1", None, True, [], {}, math.nan, math.inf, -math.inf, 1e300, -1e300, 10**20, -(10**20), 1j]

RANGES = {name: value for name, value in vars(limits).items() if isinstance(value, limits.Range)}


@pytest.mark.parametrize("name", RANGES)
def test_every_range_holds_its_ends_and_nothing_hostile(name):
    allowed = RANGES[name]
    for value, excluded in ((allowed.low, allowed.above), (allowed.high, allowed.below)):
        if not excluded:
            assert allowed.check("it", value) == value
            continue
        with pytest.raises(ValueError, match=f"it.* must lie in .*Received: it={value}"):
            allowed.check("it", value)
    for value in HOSTILE:
        with pytest.raises(ValueError, match="must .*Received: it="):
            allowed.check("it", value)


def test_numbers_of_numpy_become_plain():
    found = limits.EPOCHS.check("epochs", np.int64(3)), limits.TEMPERATURE.check("t", np.float32(4))
    assert found == (3, 4.0)
    assert [type(each) for each in found] == [int, float]


def test_a_whole_range_takes_no_fraction():
    with pytest.raises(
        ValueError, match="epochs must be a whole number from 1 to 1000000. Received: epochs=2.0"
    ):
        limits.EPOCHS.check("epochs", 2.0)


def test_a_long_value_is_cut():
    with pytest.raises(ValueError, match="epochs must") as raised:
        limits.EPOCHS.check("epochs", "x" * 1000)
    assert len(str(raised.value)) < 200


def test_a_value_that_is_endless_as_text_is_cut():
    value = "x"
    for _ in range(30):
        value = [value] * 10
    assert len(limits.shown(value)) < 100
    assert limits.shown([1, 2.5, "a"]) == "[1, 2.5, 'a']"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b", "a"], "names must hold each value once. Received: 'a' twice"),
        (["a", ""], "names must not hold an empty value"),
        ([0, 0], "Received: 0 twice"),
    ],
)
def test_a_list_holds_each_value_once(values, message):
    limits.check_each_once("names", ["a", "b"])
    with pytest.raises(ValueError, match=message):
        limits.check_each_once("names", values)


def test_what_no_machine_holds_is_refused(tmp_path):
    limits.check_memory("a small batch", 1)
    limits.check_disk("a small file", 1, tmp_path / "not" / "there")
    with pytest.raises(
        ValueError, match=r"a batch of 9 images would take 1e\+09 GB of memory, .* GB: make it"
    ):
        limits.check_memory("a batch of 9 images", 1e18)
    with pytest.raises(ValueError, match=r"views would take 1e\+09 GB, and .* GB are free in"):
        limits.check_disk("views", 1e18, tmp_path / "not" / "there")
