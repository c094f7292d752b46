"""What a run shows in TensorBoard beside the curves: pictures and hyperparameters.

Where TensorFlow, which writes these files, is not there, nothing is written.
"""

import dataclasses

import numpy as np

from keras_kd.reporting import figures
from keras_kd.utils import backend


def write_picture(folder, tag, figure):
    """Writes a figure to the Images tab.

    Args:
      folder: of the event files.
      tag: its name there.
      figure: a `matplotlib.figure.Figure`.
    """
    if not backend.has_tensorflow():
        return
    import tensorflow as tf

    with tf.summary.create_file_writer(str(folder)).as_default():
        tf.summary.image(tag, figures.pixels(figure)[np.newaxis], step=0)


def write_run(folder, dataset, settings, hparams, networks, effects):
    """What a run shows: some training images, and its row of the HParams tab.

    Args:
      folder: of the run, a `pathlib.Path`.
      dataset: a `keras_kd.data.Dataset`.
      settings: a dataclass of hyperparameters.
      hparams: further ones, `{name: number, string or bool}`.
      networks: `{label: {measure: number}}`; accuracy, loss and agreement are shown.
      effects: `{name: number or None}`.
    """
    logs = folder / "tensorboard"
    write_picture(logs / "samples", "samples", figures.sample_grid(dataset))
    measures = {
        f"{label}/{measure}": value
        for label, row in networks.items()
        for measure, value in row.items()
        if measure in ("accuracy", "loss", "agreement")
    }
    write_hparams(logs / "hparams", folder.name, dataclasses.asdict(settings) | hparams, effects | measures)


def write_hparams(folder, run, hparams, metrics):
    """Fills the HParams tab: one row for this run, so that the runs under one folder compare.

    Args:
      folder: of the event files.
      run: name of the row.
      hparams: `{name: number, string or bool}`: the columns that were chosen.
      metrics: `{name: number or None}`: the columns that were measured; None leaves a gap.
    """
    if not backend.has_tensorflow():
        return
    import tensorflow as tf
    from tensorboard.plugins.hparams import api as hp

    with tf.summary.create_file_writer(str(folder)).as_default():
        hp.hparams_config(
            hparams=[hp.HParam(name) for name in hparams], metrics=[hp.Metric(name) for name in metrics]
        )
        hp.hparams(hparams, trial_id=run)
        for name, value in metrics.items():
            if value is not None:
                tf.summary.scalar(name, value, step=0)
