import dataclasses

import numpy as np

from keras_kd.data import datasets
from keras_kd.reporting import figures


def test_the_grid_shows_one_image_of_each_class_before_it_repeats(npz):
    dataset = datasets.load(npz)
    axes = figures.sample_grid(dataset, rows=2, columns=4).axes
    assert [axis.get_title() for axis in axes] == list("01230123")
    for axis in axes:
        shown = axis.images[0].get_array()
        index = np.flatnonzero((dataset.train.images == shown).all(axis=(1, 2, 3)))
        assert str(dataset.train.labels[index[0]]) == axis.get_title()


def test_names_of_classes_are_no_formulas(npz, tmp_path):
    dataset = dataclasses.replace(datasets.load(npz), class_names=("$5_$10", "$", "a_b$", "\\frac"))
    figures.write_png(figures.sample_grid(dataset, rows=2, columns=4), tmp_path / "grid.png")
    assert (tmp_path / "grid.png").is_file()


def test_a_grid_larger_than_the_data_stays_empty_there(npz):
    figure = figures.sample_grid(datasets.load(npz), rows=10, columns=10)
    assert sum(bool(axis.images) for axis in figure.axes) == 72
