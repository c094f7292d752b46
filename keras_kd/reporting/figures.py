"""Pictures as matplotlib figures, drawn without a screen."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_kd.utils import files

CANDIDATES = 2000  # training images among which the grid finds its classes


def sample_grid(dataset, rows=4, columns=8):
    """A grid of training images under their class names, one class after the other.

    Args:
      dataset: a `keras_kd.data.Dataset`.
      rows, columns: of the grid.

    Returns:
      A `matplotlib.figure.Figure`.
    """
    labels = dataset.train.labels[:CANDIDATES]
    repeats = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    figure = blank(columns * 1.1, rows * 1.3)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, index in zip(axes, np.lexsort((labels, repeats)), strict=False):
        axis.imshow(dataset.train.images[index].squeeze(), cmap="gray", vmin=0, vmax=255)
        axis.set_title(dataset.class_names[labels[index]], fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    return figure


def accuracy_curves(histories, test_accuracies):
    """Validation accuracy over the epochs, one line per network, its test accuracy in the legend.

    Args:
      histories: `{label: {metric: [value per epoch]}}`.
      test_accuracies: `{label: accuracy}`.

    Returns:
      A `matplotlib.figure.Figure`.
    """
    figure = blank(7, 4)
    axis = figure.subplots()
    for label, history in histories.items():
        values = 100 * np.asarray(history["val_accuracy"])
        name = f"{label.replace('_', ' ')} ({test_accuracies[label]:.1%} on test)"
        axis.plot(np.arange(1, len(values) + 1), values, label=name)
    axis.set_xlabel("epoch")
    axis.set_ylabel("validation accuracy, %")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")
    return figure


def accuracy_over_depth(found):
    """Accuracy on test against depth, a line with its 95 % band for each kind of network.

    Args:
      found: a `study.findings.results.StudySummary`.

    Returns:
      A `matplotlib.figure.Figure`, or None where there is one depth alone.
    """
    label = "test accuracy, % (mean, 95 % interval)"
    return _over_depth(found, found.conditions, lambda each: each.accuracy, "mean", 100, label)


def recovery_over_depth(found):
    """The share of the drop that came back against depth; nothing where there is no drop to recover from."""
    defined = [each for each in found.recoveries if each.recovery.ratio is not None]
    label = "recovery = gain / drop (95 % interval)"
    figure = _over_depth(found, defined, lambda each: each.recovery, "ratio", 1, label)
    if figure is not None:
        figure.axes[0].axhline(1, color="black", linewidth=0.8)
        figure.axes[0].axhline(0, color="black", linewidth=0.8)
    return figure


def gain_over_advantage(found):
    """Each taught run's gain against how much more accurate its teacher is than the student alone."""
    if not found.slope:
        return None
    figure = blank(7, 4.5)
    axis = figure.subplots()
    for (label, points), style in zip(by_label(found.points).items(), itertools.cycle(_STYLES), strict=False):
        x, y = ([100 * getattr(point, name) for point in points] for name in ("advantage", "gain"))
        axis.plot(x, y, style[1], color=style[0], linestyle="none", label=label, alpha=0.8)
    line = found.slope.all_points
    x = np.array([min(p.advantage for p in found.points), max(p.advantage for p in found.points)])
    axis.plot(100 * x, 100 * (line.intercept + line.slope * x), color="black", linewidth=1)
    axis.set_xlabel("teacher's advantage over the student alone, points")
    axis.set_ylabel("gain, points")
    return _with_legend(figure)


def gains(found):
    """What each teacher gave to each student, with its 95 % interval."""
    if not found.gains:
        return None
    figure = blank(8, 1.2 + 0.3 * len(found.gains))
    axis = figure.subplots()
    mean, low, high = (
        100 * np.array([getattr(each.gain, key) for each in found.gains], float)
        for key in ("mean", "low", "high")
    )
    reach = np.nan_to_num([mean - low, high - mean])
    places = np.arange(len(mean))
    axis.errorbar(mean, places, xerr=reach, fmt="o", color=COLOURS[0], capsize=3)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_yticks(places, [each.condition.name for each in found.gains], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("gain over the same network alone, points (95 % interval)")
    axis.grid(alpha=0.3)
    return figure


def by_label(entries):
    """`{label: [entries]}` in order."""
    found = {}
    for entry in entries:
        found.setdefault(entry.condition.label, []).append(entry)
    return found


# Okabe & Ito's colours, told apart by most eyes, and markers for those that cannot.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A7000")

_STYLES = list(zip(COLOURS * 3, "osD^vPX*<>hd" * 2, strict=True))


def _over_depth(found, entries, interval, centre, scale, label):
    depths = found.depths
    if len(depths) < 2 or not entries:
        return None
    figure = blank(8, 4.5)
    axis = figure.subplots()
    for (name, group), (colour, marker) in zip(
        by_label(entries).items(), itertools.cycle(_STYLES), strict=False
    ):
        group = sorted(group, key=lambda entry: entry.condition.depth)
        x = [entry.condition.depth for entry in group]
        values, low, high = (
            scale * np.array([getattr(interval(entry), key) for entry in group], float)
            for key in (centre, "low", "high")
        )
        axis.plot(x, values, color=colour, marker=marker, label=name)
        axis.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    axis.set_xticks(depths)
    axis.set_xlabel("depth, layers")
    axis.set_ylabel(label)
    return _with_legend(figure)


def _with_legend(figure):
    figure.axes[0].grid(alpha=0.3)
    figure.legend(loc="outside lower center", fontsize=8, ncols=2)
    return figure


STUDY = {
    "accuracy_over_depth": accuracy_over_depth,
    "gains": gains,
    "recovery_over_depth": recovery_over_depth,
    "gain_over_advantage": gain_over_advantage,
}


def write_png(figure, path):
    """Writes a figure as a PNG file, atomically."""
    with files.replacing(path) as part:
        figure.savefig(part, format="png")


def pixels(figure):
    """uint8 `[height, width, 3]`: the picture of a figure."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def blank(width, height):
    """An empty figure, drawn without a screen; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
