"""What counts as a number, whoever made it: Python, NumPy, or a library with number types of its own."""

import numbers
import unicodedata

import numpy as np


def is_real(value):
    """Whether `value` is one real number of any type, such as `4`, `np.float32(4)` or a 0-d array.

    Booleans are none; NaN and infinities are.
    """
    value = _scalar(value)
    if (
        isinstance(value, np.generic) and value.dtype.kind == "V"
    ):  # such as bfloat16, which NumPy does not know for a number
        return np.can_cast(value.dtype, np.float64)
    return isinstance(value, numbers.Real) and not isinstance(value, _NO_NUMBERS)


def is_whole(value):
    """Whether `value` is one whole number of any integer type; booleans and floats such as 4.0 are none."""
    value = _scalar(value)
    return isinstance(value, numbers.Integral) and not isinstance(value, _NO_NUMBERS)


def plain(value):
    """A number of any type as Python's int or float, which JSON and Keras's configurations know.

    What is no number is handed back as it is.
    """
    return int(value) if is_whole(value) else float(value) if is_real(value) else value


# Python and NumPy count them among the integers.
_NO_NUMBERS = (bool, np.timedelta64)


def _scalar(value):
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def check_line(text, what):
    """Raises a ValueError if a name or a path has a line break or another character that no line can hold."""
    bad = next((each for each in text if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")), None)
    if bad is not None:
        raise ValueError(f"{what} has a line break or control character in it ({bad!r}). Received: {text!r}")


def is_shape(value):
    """Whether it is the shape of one tensor."""
    return isinstance(value, (tuple, list)) and all(size is None or isinstance(size, int) for size in value)


def may_be_equal(one, other):
    """Whether two shapes, or structures of such, are equal as far as both are known.

    Args:
      one, other: batch included; None where a size is open.
    """
    if is_shape(one) and is_shape(other):
        return len(one) == len(other) and all(
            a == b or None in (a, b) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(may_be_equal, one, other))
    return one == other
