"""Images of four classes that differ in colour, and teachers that tell them apart by it."""

import keras
import numpy as np
from keras import layers

from keras_kd.data.dataset import Dataset, Split

HUES = np.array([[70, 30, 20], [20, 70, 30], [30, 20, 70], [80, 80, 15]])  # all dark


def coloured(count, shape=(6, 6, 3), seed=0):
    """A `Split` of noisy images, about as many of each class."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(HUES))
    noise = rng.normal(0, 5, (count, *shape))
    return Split(np.clip(HUES[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels)


def coloured_dataset():
    splits = coloured(80), coloured(120, seed=1), coloured(40, seed=2)
    return Dataset("colours", *splits, tuple("abcd"), flips=False)


def colour_teacher(scale, places=(0, 1, 2, 3), outputs=4, shape=(12, 12, 3), name="mine", activation=None):
    """A classifier of pixels as `scale` makes them of those from 0 to 255: the nearest colour wins.

    Args:
      scale: a function of pixels `[batch, height, width, channels]`.
      places: of the classes among the outputs; the other outputs are far from everything.
      outputs, shape, name, activation: of the network.
    """
    hues = scale(HUES.astype(np.float64)[None, None])[0, 0]
    means = np.full((outputs, 3), 3 * np.abs(hues).max())
    means[list(places)] = hues
    images = keras.Input(shape)
    dense = layers.Dense(outputs, activation)
    model = keras.Model(images, dense(layers.GlobalAveragePooling2D()(images)), name=name)
    dense.set_weights([2 * means.T, -np.sum(means**2, axis=1)])
    return model
