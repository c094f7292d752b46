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


def test_a_grid_larger_than_the_data_stays_empty_there(npz):
    figure = figures.sample_grid(datasets.load(npz), rows=10, columns=10)
    assert sum(bool(axis.images) for axis in figure.axes) == 72


def test_the_curves_are_the_histories():
    histories = {"teacher": {"val_accuracy": [0.5, 0.75]}, "student_alone": {"val_accuracy": [0.25, 0.5]}}
    figure = figures.accuracy_curves(histories, {"teacher": 0.7, "student_alone": 0.4})
    lines = figure.axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[50, 75], [25, 50]]
    assert [line.get_label() for line in lines] == [
        "teacher (70.0% on test)",
        "student alone (40.0% on test)",
    ]
    picture = figures.pixels(figure)
    assert (picture.dtype, picture.ndim, picture.shape[-1]) == (np.uint8, 3, 3)
    assert picture.std() > 5
