"""The curvature on the way of each training as a chart."""

from keras_kd.reporting import charts, training_curves

_WORDS = (
    "The loss and the largest eigenvalue of its Hessian at the snapshots of each training, of the network as "
    "it was then: one that loses its shortcuts has them as far open as its gate was. BatchNorm's statistics "
    "are measured again at each. {examples:,} examples. What is not positive is not drawn."
)


def chart(group):
    """The `charts.Chart` of a `results.GroupResult`; None where no snapshots were looked at."""
    trainings = group.result.trainings
    if not trainings:
        return None
    labels = [network.label for network in group.result.networks]  # whose place chooses the colour
    titles = {"loss": "loss, nats", "largest_eigenvalue": "largest eigenvalue of the Hessian"}
    panels = [
        charts.Panel("epoch", title, [_curve(labels, each, key) for each in trainings], logarithmic="y")
        for key, title in titles.items()
    ]
    words = _WORDS.format(examples=trainings[0].examples)
    return charts.Chart("training", "Curvature on the way", words, panels, _table(trainings))


def _curve(labels, training, key):
    values = [value if value is not None and value > 0 else None for value in getattr(training, key)]
    places = [f"after epoch {epochs}" for epochs in training.epochs]
    return charts.Curve(training.label, labels.index(training.label), training.epochs, values, places)


def _table(trainings):
    columns = {each.label: (each.epochs, each.largest_eigenvalue) for each in trainings}
    return training_curves.table("largest eigenvalue after epoch", columns)
