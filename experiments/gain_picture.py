"""Draws what losing shortcuts slowly gives, from the runs that are kept: docs/pictures/gain.png.

    python -m experiments.gain_picture docs/pictures/gain.png

Test accuracy at depth 32, mean and Student's 95 % interval over seeds: digits (seeds 10 to 19, on which
nothing was chosen, trained since the terms of the loss came to be summed in another order) and CIFAR-10
(12,000 training images, seeds 0 to 2).
"""

import pathlib
import sys

from keras_kd.study import table
from keras_kd.utils import files, statistics

RESULTS = pathlib.Path(__file__).parent / "results"
BEST = "fade+merge+blockwise-fade_end0.7-blockwise_weight8.0-blockwise_end1.0"
CONDITIONS = {
    "residual twin": "r32w8",
    "plain, alone": "p32w8",
    "plain, taught": "p32w8-kd-r32w8-T4-a0.9",
    "plain, taught while\nits shortcuts fade": "p32w8-fade-kd-r32w8-T4-a0.9",
    "the same, merged and\npulled to its twin's blocks": f"p32w8-{BEST}-kd-r32w8-T4-a0.9",
}
COLOURS = ("#0072b2", "#d55e00", "#e69f00", "#cc79a7", "#009e73")  # Okabe & Ito 2008
PANELS = (
    ("digits", "again/routes_digits.csv", range(10, 20)),
    ("CIFAR-10, 12,000 images", "routes_cifar10.csv", range(3)),
)


def accuracies(path, condition, seeds):
    """Test accuracies in percent of a condition, seed by seed.

    Args:
      path: of a study's `results.csv`.
      condition: its name, column `cell`.
      seeds: those that are taken.
    """
    rows = [row for row in table.read_rows(path) if row["cell"] == condition and row["status"] == table.DONE]
    return [100 * row["accuracy"] for row in rows if row["seed"] in seeds]


def intervals(path, seeds):
    """`{condition: (mean, low, high)}` in percent, of those conditions that have several seeds."""
    values = {name: accuracies(path, cell, seeds) for name, cell in CONDITIONS.items()}
    found = {name: statistics.estimate(each) for name, each in values.items() if len(each) > 1}
    return {name: (each.mean, each.low, each.high) for name, each in found.items()}


def figure():
    """The picture, a matplotlib figure."""
    from matplotlib.figure import Figure

    found = {title: intervals(RESULTS / name, seeds) for title, name, seeds in PANELS}
    drawn = Figure(figsize=(6.4, 4.8), layout="constrained")
    panels = drawn.subplots(len(found), 1, height_ratios=[len(rows) for rows in found.values()])
    for axes, (title, _, seeds) in zip(panels, PANELS, strict=True):
        rows = found[title]
        axes.set(title=f"{title}, seeds {seeds[0]} to {seeds[-1]}", ylim=(len(rows) - 0.4, -0.7))
        axes.set_yticks(range(len(rows)), list(rows))
        axes.grid(axis="x", alpha=0.3)
        for row, (mean, low, high) in enumerate(rows.values()):
            options = {"color": COLOURS[row], "capsize": 4, "linewidth": 2}
            axes.errorbar(mean, row, xerr=[[mean - low], [min(high, 100) - mean]], fmt="o", **options)
            axes.annotate(f"{mean:.1f}", (mean, row), (0, 6), textcoords="offset points", ha="center")
    panels[-1].set_xlabel("test accuracy, % (95 % interval over seeds)")
    return drawn


def main(path):
    """Draws the picture into a file."""
    if not path.endswith(".png"):
        raise ValueError(f"the picture is a PNG: give a path that ends in .png. Received: {path!r}")
    with files.replacing(path) as part:
        figure().savefig(part, dpi=110, format="png")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the path of the picture")
    try:
        main(sys.argv[1])
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
