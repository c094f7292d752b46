"""Schedules of alpha over the steps of a training."""

import keras

from keras_kd.utils import limits


def until_epoch(alpha, epochs, steps_per_epoch):
    """Alpha of a teacher that leaves: a schedule that falls to 0 after so many epochs; 0: it stays.

    Args:
      alpha: weight of the teacher's term while it is there.
      epochs: how many it stays for.
      steps_per_epoch: of the training.

    Raises:
      ValueError: for a number of epochs out of range.
    """
    limits.ALPHA_EPOCHS.check("alpha_epochs", epochs)
    if not epochs:
        return alpha
    last = epochs * steps_per_epoch - 1
    return keras.optimizers.schedules.PiecewiseConstantDecay([last], [alpha, 0.0])
