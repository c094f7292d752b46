"""What a run shows in TensorBoard beside the curves: sample images and hyperparameters."""

import pathlib

import numpy as np
import tensorflow as tf


def write_sample_images(folder, dataset, rows=4, columns=8):
    """Writes a grid of training images with their class names, under the tag `samples`.

    Args:
      folder: of the event files.
      dataset: a `keras_kd.datasets.Dataset`.
      rows, columns: of the grid.
    """
    with tf.summary.create_file_writer(str(pathlib.Path(folder))).as_default():
        tf.summary.image("samples", _grid(dataset, rows, columns)[np.newaxis], step=0)


def _grid(dataset, rows, columns):
    """uint8 `[height, width, 3]`: the picture of the grid, classes taken in turn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = dataset.train.labels
    turn = np.argsort([np.sum(labels[:i] == labels[i]) for i in range(min(len(labels), 2000))], kind="stable")
    figure = Figure(figsize=(columns * 1.1, rows * 1.3), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns).ravel()
    for axis, index in zip(axes, turn, strict=False):
        axis.imshow(dataset.train.images[index].squeeze(), cmap="gray", vmin=0, vmax=255)
        axis.set_title(dataset.class_names[labels[index]], fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def write_hparams(folder, hparams, metrics):
    """Fills the HParams tab: one row for this run, so that runs under one folder compare.

    Args:
      folder: of the event files.
      hparams: `{name: number, string or bool}`: the columns that were chosen.
      metrics: `{name: number}`: the columns that were measured; None is left out.
    """
    from tensorboard.plugins.hparams import api as hp

    metrics = {name: value for name, value in metrics.items() if value is not None}
    with tf.summary.create_file_writer(str(pathlib.Path(folder))).as_default():
        hp.hparams_config(
            hparams=[hp.HParam(name) for name in hparams], metrics=[hp.Metric(name) for name in metrics]
        )
        hp.hparams(hparams)
        for name, value in metrics.items():
            tf.summary.scalar(name, value, step=0)
