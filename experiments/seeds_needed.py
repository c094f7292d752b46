"""How many seeds a comparison needs, from the spread of the runs that exist.

    python -m experiments.seeds_needed experiments/results/routes_digits.csv p32w8-fade-kd-r32w8-T4-a0.9 r32w8

prints the paired difference of test accuracy of the first condition minus the second over their common seeds,
how much it varies between seeds, and how many seeds find one point in four of five studies by a two-sided
t test at 5 %. The plan that a study prints is about its verdicts: of one side, corrected for its claims.
"""

import sys

from keras_kd.study import table
from keras_kd.utils import statistics

POINT = 0.01


def differences(path, condition, other):
    """Differences of test accuracy, one for each seed that both conditions have.

    Args:
      path: of a study's `results.csv`.
      condition, other: names of conditions, column `cell`.

    Raises:
      ValueError: if they are one, or have fewer than two seeds in common, or the table cannot be read.
    """
    if condition == other:
        raise ValueError(f"two conditions are compared. Received: {condition} twice")
    rows = [row for row in table.read_rows(path) if row["status"] == table.DONE]
    one, two = (
        {row["seed"]: row["accuracy"] for row in rows if row["cell"] == name} for name in (condition, other)
    )
    common = sorted(one.keys() & two.keys())
    if len(common) < 2:
        names = ", ".join(dict.fromkeys(row["cell"] for row in rows))
        raise ValueError(
            f"{condition} and {other} need two common seeds in {path}, which has {names}. "
            f"Received: {len(common)}"
        )
    return [one[seed] - two[seed] for seed in common]


def main(path, condition, other):
    """Prints the line of one comparison."""
    found = statistics.estimate(differences(path, condition, other))
    if found.deviation < statistics.ROUNDING:
        raise ValueError(
            f"{condition} minus {other} is {100 * found.mean:+.1f} points with each of {found.count} seeds: "
            f"how many are needed follows from how much it varies"
        )
    needed = statistics.seeds_needed(POINT, found.deviation)
    interval = f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f}) points"
    print(
        f"{condition} minus {other}: {interval}, varies by {100 * found.deviation:.1f} between "
        f"{found.count} seeds: {needed} for one point (two-sided t test at 5 %, in four of five studies)"
    )


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("give a results.csv and the names of two conditions in it")
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
