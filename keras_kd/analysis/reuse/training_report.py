"""The trainings of networks as a chart: accuracy and gate over the epochs, likeness to the residual twin."""

from keras_kd.reporting import charts, training_curves

_WORDS = (
    "Validation accuracy, and CKA with the trained residual twin ({twins}), a mean over what stem and blocks "
    "hand on, at the snapshots of each training."
)

_FADING = (
    " A network that loses its shortcuts is drawn as it was in training, its shortcuts as far open as its "
    "gate says, and dashed as what would have been left of it, with the same statistics of BatchNorm."
)


def chart(group):
    """The `charts.Chart` of a `results.GroupResult`; None where no snapshots were kept."""
    trainings = {training.label: training for training in group.result.trainings}
    if not trainings:
        return None
    labels = [network.label for network in group.result.networks]  # whose place chooses the colour
    histories = {label: trainings[label].history if label in trainings else None for label in labels}
    curves = [
        curve
        for number, label in enumerate(labels)
        if label in trainings
        for curve in _curves(number, trainings[label])
    ]
    fades = any(training.cka_without_shortcuts for training in trainings.values())
    words = _WORDS.format(twins=", ".join(dict.fromkeys(each.twin for each in trainings.values())))
    panels = [
        *training_curves.panels(histories),
        charts.Panel("epoch", "CKA with the trained residual twin", curves),
    ]
    return charts.Chart("training", "On the way", words + _FADING * fades, panels, _table(curves))


def _curves(number, training):
    places = [f"after epoch {epochs}" for epochs in training.epochs]
    yield charts.Curve(training.label, number, training.epochs, training.cka, places)
    if training.cka_without_shortcuts:
        label = training_curves.without_shortcuts(training.label)
        yield charts.Curve(label, number, training.epochs, training.cka_without_shortcuts, places, "dash")


def _table(curves):
    return training_curves.table("CKA after epoch", {curve.label: (curve.x, curve.y) for curve in curves})
