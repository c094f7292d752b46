"""Draws what losing shortcuts slowly gives, from the runs that are kept: docs/pictures/gain.png.

    python -m experiments.gain_picture docs/pictures/gain.png

Test accuracy over depth, mean and Student's 95 % interval over seeds: digits (seeds 0 to 9) and CIFAR-10
(12,000 training images, seeds 0 to 2). The default way was chosen on the validation images of digits, by
earlier runs of seeds 0 to 4, the best one on CIFAR-10 at depth 32. At the other depths of CIFAR-10 that has
run beside residual twins of its own, which are not drawn.
"""

import pathlib
import sys

from keras_kd.study import table
from keras_kd.utils import files, statistics

RESULTS = pathlib.Path(__file__).parent / "results"
BEST = "fade+blockwise-fade_end0.7-blockwise_weight16.0-blockwise_end1.0"
DEPTHS = (20, 32, 44, 56)
CONDITIONS = {  # names of conditions, column `cell`, of a depth
    "residual twin": "r{0}w8",
    "plain, taught while its shortcuts fade\nand its blocks are pulled to its twin's": (
        f"p{{0}}w8-{BEST}-kd-r{{0}}w8-T4-a0.9"
    ),
    "plain, taught while its shortcuts fade": "p{0}w8-fade-kd-r{0}w8-T4-a0.9",
    "plain, taught": "p{0}w8-kd-r{0}w8-T4-a0.9",
    "plain, alone": "p{0}w8",
}
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#d55e00")  # Okabe & Ito 2008
APART = 0.7  # layers between the points of one depth, so that no interval hides another
PANELS = (
    ("digits", ("routes_digits.csv",), range(10)),
    ("CIFAR-10, 12,000 images", ("routes_cifar10.csv", "again/routes_cifar10.csv"), range(3)),
)


def accuracies(tables, condition, seeds):
    """Test accuracies in percent of a condition, seed by seed.

    Args:
      tables: rows of studies' `results.csv`; of the first that has the condition.
      condition: its name, column `cell`.
      seeds: those that are taken.
    """
    of_tables = [[row for row in rows if row["cell"] == condition] for rows in tables]
    found = next(rows for rows in of_tables if rows)
    return [100 * row["accuracy"] for row in found if row["seed"] in seeds and row["status"] == table.DONE]


def intervals(names, seeds):
    """`{condition: [(mean, low, high)]}` in percent, for each of `DEPTHS`, from tables in `RESULTS`."""
    tables = [table.read_rows(RESULTS / name) for name in names]
    found = {}
    for name, cell in CONDITIONS.items():
        values = [accuracies(tables, cell.format(depth), seeds) for depth in DEPTHS]
        estimates = map(statistics.estimate, values)
        found[name] = [(each.mean, each.low, each.high) for each in estimates]
    return found


def figure():
    """The picture, a matplotlib figure."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(8.4, 4.6), layout="constrained")
    for axes, (title, names, seeds) in zip(drawn.subplots(1, len(PANELS)), PANELS, strict=True):
        axes.set(title=f"{title}, seeds {seeds[0]} to {seeds[-1]}", xlabel="depth, layers", xticks=DEPTHS)
        axes.grid(alpha=0.3)
        for line, (label, values) in enumerate(intervals(names, seeds).items()):
            means, lows, highs = zip(*values, strict=True)
            at = [depth + APART * (line - (len(CONDITIONS) - 1) / 2) for depth in DEPTHS]
            around = (
                [mean - low for mean, low in zip(means, lows, strict=True)],
                [min(high, 100) - mean for mean, high in zip(means, highs, strict=True)],
            )
            options = {"color": COLOURS[line], "capsize": 3, "marker": "o", "markersize": 4}
            axes.errorbar(at, means, yerr=around, label=label, **options)
    drawn.axes[0].set_ylabel("test accuracy, % (95 % interval over seeds)")
    drawn.legend(*drawn.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
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
