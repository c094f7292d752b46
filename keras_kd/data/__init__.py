"""Images and labels: loading, splitting, order, augmentation, and batches for the backend.

    dataset = keras_kd.data.load("digits")

A batch is a pure function of (seed, epoch, index): see `sampling`.
"""

from keras_kd.data.dataset import Dataset, ImageSplit, Split
from keras_kd.data.datasets import load, subset
from keras_kd.data.own_data import from_arrays, from_datasets

__all__ = ["Dataset", "ImageSplit", "Split", "from_arrays", "from_datasets", "load", "subset"]
