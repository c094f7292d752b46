"""How good networks are over their epochs, and how far their shortcuts are open meanwhile.

figure = charts.to_matplotlib(training_curves.chart(comparison.history, test_accuracies))
"""

from keras_kd.reporting import charts, formatting

# Metrics of a network whose shortcuts go away in training: how much of them is left after an epoch, in
# [0, 1], and the accuracy of the network that would be left if they were gone.
GATE = "gate"
WITHOUT_SHORTCUTS = "val_accuracy_without_shortcuts"


def chart(histories, test_accuracies):
    """Validation accuracy over the epochs, with and without shortcuts, and their gates where there are any.

    Args:
      histories: `{label: {metric: [value per epoch]}}`.
      test_accuracies: `{label: accuracy}`, for the legend.

    Returns:
      A `charts.Chart`.
    """
    named = {
        f"{label.replace('_', ' ')} ({test_accuracies[label]:.1%} on test)": history
        for label, history in histories.items()
    }
    words = "Accuracy on validation after each epoch."
    return charts.Chart("curves", "Training", words, panels(named))


def panels(histories):
    """The panels of `chart`.

    Args:
      histories: `{label as in the legend: {metric: [value per epoch]}}`; a network's place in it chooses its
        colour. None: its place is kept.

    Returns:
      A list of `charts.Panel`s: accuracy, and the gate if one of the networks has it; empty without any
      history.
    """
    accuracies, gates = [], []
    for number, (label, history) in enumerate(histories.items()):
        if not history or "val_accuracy" not in history:
            continue
        accuracies.append(_curve(label, number, history["val_accuracy"], 100))
        if GATE in history:
            values = history[WITHOUT_SHORTCUTS]
            accuracies.append(_curve(without_shortcuts(label), number, values, 100, "dash"))
            gates.append(_curve(label, number, history[GATE]))
    drawn = (
        ("validation accuracy, %", accuracies, None),
        ("gate: share of the shortcuts left", gates, (0, 1)),
    )
    return [charts.Panel("epoch", title, curves, bounds=bounds) for title, curves, bounds in drawn if curves]


def table(heading, columns):
    """The numbers of networks that were measured after some epochs each.

    Args:
      heading: of the column of epochs.
      columns: `{label: (epochs, values)}`.

    Returns:
      `(column names, rows)` of text; "n/a" where a network was not measured.
    """
    epochs = sorted({epoch for measured, _ in columns.values() for epoch in measured})
    found = [dict(zip(*column, strict=True)) for column in columns.values()]
    rows = [
        [str(epoch), *(formatting.number(values[epoch]) if epoch in values else "n/a" for values in found)]
        for epoch in epochs
    ]
    return [heading, *columns], rows


def without_shortcuts(label):
    """What the rest of a network is called beside it."""
    return f"{label}, without its shortcuts"


def _curve(label, number, values, scale=1, line="solid"):
    epochs = list(range(1, len(values) + 1))
    places = [f"epoch {epoch}" for epoch in epochs]
    scaled = [None if value is None else scale * value for value in values]
    return charts.Curve(label, number, epochs, scaled, places, line, has_markers=False)
