"""What TensorBoard shows of a run: curves of each network, pictures and hyperparameters.

TensorBoard calls a run by its folder, so event files lie where that reads well: those of a network in
RUN/LABEL, such as `distill-digits/teacher`; pictures and the row of the HParams tab in RUN itself. Groups of
tags are sorted by name: `epoch_...` comes before `final`, and pictures after both. Without TensorFlow, which
writes these files, there are none.
"""

import dataclasses

import numpy as np

from keras_kd.reporting import figures
from keras_kd.utils import backend


def write_epoch(writer, epoch, logs):
    """Writes what Keras tells at the end of an epoch.

    Args:
      writer: see `epoch_writer`.
      epoch: from 0 on, as Keras counts; the axis counts whole epochs from 1 on.
      logs: `{name: number}`; `val_NAME` is shown beside `NAME`.
    """
    import tensorflow as tf

    with writer.as_default(step=epoch + 1):
        for name, value in logs.items():
            split = "validation" if name.startswith("val_") else "train"
            tf.summary.scalar(f"epoch_{name.removeprefix('val_')}/{split}", value)
    writer.flush()


def epoch_writer(folder):
    """A writer for `write_epoch`, of `tf.summary`."""
    import tensorflow as tf

    return tf.summary.create_file_writer(str(folder))


def write_picture(folder, tag, figure):
    """Writes a figure to the Images tab.

    Args:
      folder: of the event files.
      tag: its name there, after "pictures/".
      figure: a `matplotlib.figure.Figure`.
    """
    if not backend.has_tensorflow():
        return
    import tensorflow as tf

    with tf.summary.create_file_writer(str(folder)).as_default():
        tf.summary.image(f"pictures/{tag}", figures.pixels(figure)[np.newaxis], step=0)


def write_run(folder, dataset, settings, hparams, final, networks):
    """What a run shows: some training images, and its row of the HParams tab.

    Args:
      folder: of the run, a `pathlib.Path`.
      dataset: a `keras_kd.data.Dataset`.
      settings: a dataclass of hyperparameters.
      hparams: further ones, `{name: number, string or bool}`, which are shown before those: at most five.
      final: `{name: number or None}`: what the run ends in, such as its student's accuracy.
      networks: `{label: {measure: number}}`; accuracy, loss and agreement are shown.
    """
    write_picture(folder, "samples", figures.sample_grid(dataset))
    measures = {
        f"{label}/{measure}": row[measure]
        for measure in ("accuracy", "loss", "agreement")
        for label, row in networks.items()
        if measure in row
    }
    training = {f"training/{name}": value for name, value in dataclasses.asdict(settings).items()}
    write_hparams(folder, folder.name, hparams | training, final | measures)


def write_hparams(folder, run, hparams, metrics):
    """Fills the HParams tab: one row for this run, so that the runs under one folder compare.

    Args:
      folder: of the event files.
      run: name of the row.
      hparams: `{name: number, string or bool}`: the columns that were chosen. The first five names of the
        alphabet are ticked when the tab opens, those that differ between runs before the others.
      metrics: `{name: number or None}`: the columns that were measured; None leaves a gap. The first five
        that are given are ticked.
    """
    if not backend.has_tensorflow():
        return
    import tensorflow as tf
    from tensorboard.plugins.hparams import api as hp

    with tf.summary.create_file_writer(str(folder)).as_default():
        hp.hparams_config(
            hparams=[hp.HParam(name) for name in hparams],
            metrics=[hp.Metric(f"final/{name}", display_name=name) for name in metrics],
        )
        hp.hparams(hparams, trial_id=run)
        for name, value in metrics.items():
            if value is not None:
                tf.summary.scalar(f"final/{name}", value, step=0)
