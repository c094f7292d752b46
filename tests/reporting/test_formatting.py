"""Numbers and names as text."""

import pytest

from keras_kd.reporting import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (0, "0"), (0.012345, "0.0123"), (999.4, "999"), (999.7, "1,000"), (-1234.5, "-1,234")],
)
def test_numbers_of_all_sizes_have_three_digits_and_no_exponent(value, text):
    assert formatting.number(value) == text


TAUGHT = ["plain-20, taught by r (dkd), minus KD", "plain-20, taught by r (nkd), minus KD"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            [*TAUGHT, "plain-20, taught by r (kd+at, T 4), minus KD"],
            ("plain-20, taught by r (", ["dkd", "nkd", "kd+at, T 4"], "), minus KD"),
        ),
        (TAUGHT, ("", TAUGHT, "")),
        (
            [
                "plain-20, taught by r (T 4)",
                "plain-20, taught by r (T 4, 3 epochs)",
                "plain-20, taught by s (T 4)",
            ],
            ("plain-20, taught by ", ["r (T 4)", "r (T 4, 3 epochs)", "s (T 4)"], ""),
        ),
        (
            [
                "plain-20, taught by r (T 4)",
                "plain-20, taught by r (T 4), again",
                "plain-20, taught by r (T 5)",
            ],
            ("plain-20, taught by r ", ["(T 4)", "(T 4), again", "(T 5)"], ""),
        ),
        (["drop at depth 5", "gain at depth 5", "left at depth 5"], None),
        (["the same in all"] * 3, None),
        ([], None),
    ],
)
def test_what_names_share_stands_once(names, expected):
    assert formatting.shared(names) == (expected or ("", names, ""))
    begin, rests, end = formatting.shared(names)
    assert [begin + rest + end for rest in rests] == names


@pytest.mark.parametrize(
    ("ends", "text"),
    [((0.981, 1.004), "98.1 to 100.0"), ((-0.2, 0.5), "0.0 to 50.0"), ((None, None), "n/a")],
)
def test_no_interval_of_accuracies_leaves_them(ends, text):
    assert formatting.accuracies_between(*ends) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0131, "= 0.013"), (0.001, "= 0.001"), (0.0004, "< 0.001"), (0.0, "< 0.001"), (1.0, "= 1.000")],
)
def test_no_p_is_told_as_nought(p, text):
    assert formatting.equals(p) == text
