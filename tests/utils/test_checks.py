"""Which values are numbers."""

import fractions
import math

import ml_dtypes
import numpy as np
import pytest

from keras_kd.utils import checks

WHOLE = (4, np.int8(4), np.uint64(4), np.array(4))
REAL = (
    4.0,
    math.nan,
    math.inf,
    np.float16(4),
    np.float32(4),
    np.float64(4),
    np.longdouble(4),
    np.array(4.0, np.float32),
    ml_dtypes.bfloat16(4),
    fractions.Fraction(4),
)
NEITHER = (
    True,
    np.bool_(True),
    np.array(True),
    "4",
    np.str_("4"),
    None,
    4j,
    np.complex64(4),
    [4],
    np.ones(1),
    np.datetime64("2026"),
    np.timedelta64(4, "s"),
    np.void(b"four"),
    float,
)


@pytest.mark.parametrize("value", [*WHOLE, *REAL], ids=repr)
def test_a_number_of_any_type_is_real(value):
    assert checks.is_real(value)
    assert checks.is_whole(value) == any(value is each for each in WHOLE)


@pytest.mark.parametrize("value", NEITHER, ids=repr)
def test_what_is_no_real_number_is_none(value):
    assert not checks.is_real(value)
    assert not checks.is_whole(value)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ((None, 8, 3), (4, 8, None), True),
        ((None, 8, 3), (None, 9, 3), False),
        ((None, 8), (None, 8, 1), False),
        ([(None, 8), (None, 3)], [(None, 8), (2, 3)], True),
        ([(None, 8), (None, 3)], [(None, 8), (None, 4)], False),
        ([(None, 8)], (None, 8), False),
        ({"a": (None, 8)}, {"a": (None, 8)}, True),
        ({"a": (None, 8)}, (None, 8), False),
    ],
)
def test_shapes_may_be_equal_where_both_are_known(one, other, equal):
    assert checks.may_be_equal(one, other) is equal
