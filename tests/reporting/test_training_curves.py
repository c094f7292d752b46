import numpy as np

from keras_kd.reporting import charts, figures, formatting, training_curves

HISTORIES = {"teacher": {"val_accuracy": [0.5, 0.75]}, "student_alone": {"val_accuracy": [0.25, 0.5]}}
ACCURACIES = {"teacher": 0.7, "student_alone": 0.4, "student_fade": 0.6}


def test_the_curves_are_the_histories():
    figure = charts.to_matplotlib(training_curves.chart(HISTORIES, ACCURACIES))
    (axis,) = figure.axes
    assert [line.get_ydata().tolist() for line in axis.lines] == [[50, 75], [25, 50]]
    assert all(list(line.get_xdata()) == [1, 2] for line in axis.lines)
    assert [line.get_label() for line in axis.lines] == [
        "teacher (70.0% on test)",
        "student alone (40.0% on test)",
    ]
    picture = figures.pixels(figure)
    assert (picture.dtype, picture.ndim, picture.shape[-1]) == (np.uint8, 3, 3)
    assert picture.std() > 5


def test_a_network_that_loses_its_shortcuts_is_drawn_with_and_without_them_and_beside_its_gate():
    fade = {"val_accuracy": [0.5, 0.5], "val_accuracy_without_shortcuts": [0.25, 0.5], "gate": [0.75, 0.0]}
    histories = HISTORIES | {"student_fade": fade}
    accuracies, gates = training_curves.chart(histories, ACCURACIES).panels
    *_, whole, rest = accuracies.curves
    assert (whole.y, whole.line, rest.y, rest.line) == ([50, 50], "solid", [25, 50], "dash")
    assert rest.label == "student fade (60.0% on test), without its shortcuts"
    assert whole.number == rest.number == gates.curves[0].number == 2
    assert gates.curves[0].y == [0.75, 0.0]
    figure = charts.to_matplotlib(training_curves.chart(histories, ACCURACIES))
    assert [len(axis.lines) for axis in figure.axes] == [4, 1]


def test_epochs_are_marked_at_whole_numbers_however_many_there_are():
    many = {"teacher": {"val_accuracy": [0.5] * 20}}
    (axis,) = charts.to_matplotlib(training_curves.chart(many, ACCURACIES)).axes
    assert all(place == round(place) for place in axis.get_xticks())


def test_a_table_holds_what_was_measured_after_which_epoch():
    names, rows = training_curves.table("CKA after epoch", {"a": ([0, 4], [0.5, 0.75]), "b": ([4], [None])})
    assert names == ["CKA after epoch", "a", "b"]
    assert [row[0] for row in rows] == ["0", "4"]
    assert rows[0][1:] == [formatting.number(0.5), "n/a"]
    assert rows[1][1:] == [formatting.number(0.75), formatting.number(None)]
