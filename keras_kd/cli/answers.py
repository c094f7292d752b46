"""What a distillation or a training found, in sentences that say no more than their intervals.

KD with fade raised the student's accuracy by 12.5 points, from 84.2% to 96.7% (+8.6 to +16.2 over 360 test
images; one seed: no interval over seeds).
"""

from scipy import stats

from keras_kd.reporting import formatting
from keras_kd.training.labels import ALONE, DISTILLED
from keras_kd.utils import statistics

ONE_SEED = "one seed: no interval over seeds"

# Half of an interval, in accuracy, from which on an undecided difference is the test split's fault.
WIDE = 0.10

# Runs of fewer epochs are trials of the command, not of the method.
FEW_EPOCHS = 5

# Change of the accuracy in training over the last fifth of the epochs up to which training had flattened.
FLAT = 0.01


def distillation(networks, effects, *, loss="kd", seeds=1):
    """What a teacher did to its students, the one that a run is about first.

    Args:
      networks: `{label: accuracy on test}`, a share.
      effects: `{label: comparison.Effects}` of the students that were taught.
      loss: text of the losses that taught them.
      seeds: over how many the accuracies are means, and the intervals are; of one they are over images.

    Returns:
      A list of sentences.
    """
    last, *others = list(effects)[::-1]
    told = [_gain(last, networks, effects[last], loss, seeds)]
    told += [_gain(label, networks, effects[label], loss, seeds) for label in others]
    told += _shortcuts(last, effects[last])
    return told


def _gain(label, networks, effects, loss, seeds):
    gain, interval = effects.gain, effects.gain_interval
    way = _way(label, loss)
    reach = f"from {percent(networks[ALONE])} to {percent(networks[label])}"
    if interval is None:
        return f"{way} changed the student's accuracy by {_points(gain)}, {reach} ({ONE_SEED})."
    over = f"over {seeds} seeds" if seeds > 1 else f"over {effects.test_images:,} test images; {ONE_SEED}"
    within = f"({_ends(interval)} {over})"
    if interval[0] > 0:
        return f"{way} raised the student's accuracy by {_size(gain)}, {reach} {within}."
    if interval[1] < 0:
        return f"{way} made the student worse: it lowered its accuracy by {_size(gain)}, {reach} {within}."
    changed = f"{way} changed the student's accuracy by {_points(gain)}, {reach}"
    if seeds == 1 and interval[1] - interval[0] > 2 * WIDE:
        return f"{changed}: {effects.test_images:,} test images are too few to say anything {within}."
    return f"{changed}: undecided {within}."


def _way(label, loss):
    losses = "KD" if loss == "kd" else loss
    return losses if label == DISTILLED else f"{losses} with {label.removeprefix('student_')}"


def _shortcuts(label, effects):
    """What the student lacks beside its residual twin, where that was trained."""
    if effects.drop is None or not effects.drop_interval:
        return []
    below = f"{_below(effects.drop)} its residual twin ({_ends(_turned(effects))})"
    low, high = effects.drop_interval
    if high <= 0:
        return [
            f"No drop shows without shortcuts, so there is nothing to win back: the student alone is {below}."
        ]
    if low <= 0:
        return [f"Whether accuracy drops without shortcuts is undecided: the student alone is {below}."]
    name, left = label.replace("_", " "), effects.drop - effects.gain
    low, high = effects.recovery_interval
    return [
        f"Without shortcuts the student alone is {below}; "
        f"the {name} is {_below(left)} it: a recovery of {effects.recovery:.2f} ({low:.2f} to {high:.2f})."
    ]


def _turned(effects):
    """The drop's interval, in the direction in which `_below` tells the drop."""
    low, high = effects.drop_interval
    return (low, high) if effects.drop >= 0 else (-high, -low)


def of_training(result):
    """How good a trained network is: sentences from the `result.json` of `train`.

    Source: Wilson 1927, Journal of the American Statistical Association 22, 209-212 (the interval).
    """
    network, accuracy = result["network"], result["measured"]["accuracy"]
    images = result["dataset"]["examples"]["test"]
    told = f"{network} is right on {percent(accuracy)} of {images:,} test images"
    if result.get("multi_label"):  # decisions about one image are not independent of each other
        told = f"{network} decides {percent(accuracy)} of the classes of {images:,} test images right"
        told += f" ({ONE_SEED})."
    else:
        found = stats.binomtest(round(accuracy * images), images).proportion_ci(method="wilson")
        few = ": too few images to say more" if found.high - found.low > 2 * WIDE else ""
        told += f" ({percent(found.low)} to {percent(found.high)}; {ONE_SEED}){few}."
    epochs = result["settings"]["epochs"]
    return [told, *short_run([{"network": result.get("history") or {}}], epochs)]


def short_run(histories, epochs):
    """Whether a run was too short to decide, in a sentence each; nothing else.

    Args:
      histories: for each seed `{label: {metric: [value per epoch]}}` of what was trained.
      epochs: of each.
    """
    if epochs < FEW_EPOCHS:
        return [f"A run of {epochs} epoch{'s' * (epochs > 1)} decides nothing: try more."]
    rising = {}
    for label in histories[0]:
        changes = [statistics.late_change(history[label].get("accuracy")) or 0.0 for history in histories]
        rising[label] = sum(changes) / len(changes)
    rising = {label: change for label, change in rising.items() if change > FLAT}
    if not rising:
        return []
    most = max(rising, key=rising.get)
    return [
        f"Training had not flattened: the {most.replace('_', ' ')}'s accuracy in training still rose by "
        f"{_size(rising[most])} over the last fifth of {epochs} epochs, so a longer run may end otherwise."
    ]


def percent(share):
    """An accuracy in a sentence."""
    return f"{formatting.percent(share)}%"


def _points(difference):
    return f"{formatting.points(difference)} points"


def _size(difference):
    return f"{abs(difference) * 100:.1f} points"


def _ends(interval):
    low, high = interval
    return f"{formatting.points(low)} to {formatting.points(high)}"


def _below(difference):
    """How far one accuracy is below another, from the difference."""
    return f"{_size(difference)} {'below' if difference >= 0 else 'above'}"
