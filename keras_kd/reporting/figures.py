"""Pictures as matplotlib figures, drawn without a screen."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from keras_kd.data import lazy_images
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
    candidates = np.arange(len(dataset.train.labels))[:CANDIDATES]
    if lazy_images.is_lazy(dataset.train.images):  # those of a folder are sorted by class
        candidates = np.linspace(0, len(dataset.train.labels) - 1, len(candidates)).astype(int)
    labels, names = dataset.train.labels[candidates], dataset.class_names
    if np.ndim(labels) == 2:  # yes or no of each class
        kinds, labels = np.unique(labels, axis=0, return_inverse=True)
        names = ["+".join(name for name, yes in zip(names, kind, strict=True) if yes) for kind in kinds]
    repeats = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)])
    figure = blank(columns * 1.1, rows * 1.3)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, index in zip(axes, np.lexsort((labels, repeats)), strict=False):
        axis.imshow(dataset.train.images[candidates[index]].squeeze(), cmap="gray", vmin=0, vmax=255)
        axis.set_title(names[labels[index]], fontsize=9, parse_math=False)
    for axis in axes:
        axis.set_axis_off()
    return figure


# Okabe & Ito's colours, told apart by most eyes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8A7000")


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
