"""What a search found, in sentences.

T = 3.61, alpha = 0.571: +1.2 points over the default (T = 4, alpha = 0.9) on validation, within luck (...).
"""

from keras_kd.reporting import formatting
from keras_kd.search import loss_choices, selection, space

_SHORT = {"temperature": "T"}

ACCURACY = "val_accuracy"


def answer(found):
    """`[text]`: the gain on validation with the choice counted in, and that on test.

    Args:
      found: a `results.SearchResult` whose best setting was measured on test.
    """
    return [_on_validation(found), _on_test(found)]


def setting(values):
    """The values of a setting: "T = 3.61, alpha = 0.571"."""
    return ", ".join(
        f"{_SHORT.get(name, space.TITLES[name])} = {value(each)}"
        for name, each in loss_choices.without_options(values).items()
    )


def value(of):
    """A hyperparameter in words."""
    return of if isinstance(of, str) else f"{of:.3g}"


def gain(found):
    """The `selection.SelectedGain` of a result."""
    whole = [
        trial.measures[ACCURACY]
        for trial in found.scored
        if trial.epochs == found.epochs and len(trial.measures.get(ACCURACY, ())) == len(found.seeds)
    ]
    chosen, default = (
        [row.validation_accuracy for row in each.per_seed] for each in (found.test.best, found.test.default)
    )
    images = found.description["dataset"].get("examples", {}).get("validation")
    return selection.selected_gain(
        chosen, default, whole or [chosen], len(found.scored), resolution=1 / images if images else 0.0
    )


def _on_validation(found):
    told = gain(found)
    usual = setting(found.test.default.values)
    points = formatting.points(told.mean)
    over = f"the default ({usual}) on validation"
    if told.is_luck is None:
        return (
            f"{setting(found.best.values)}: {points} points over {over} (one seed: no interval), as the best "
            f"of {told.chosen_from} trials, which lifts it."
        )
    luck = "within luck" if told.is_luck else "more than luck"
    interval = f"{formatting.points(told.low)} to {formatting.points(told.high)}; {told.seeds} seeds"
    return (
        f"{setting(found.best.values)}: {points} points over {over}, {luck} ({interval}, the choice among "
        f"{told.chosen_from} trials counted in)."
    )


def _on_test(found):
    best, default, gained = found.test.best.accuracy, found.test.default.accuracy, found.test.gain
    interval = "one seed: no interval"
    if gained.low is not None:
        low, high = formatting.points(gained.low), formatting.points(gained.high)
        interval = f"{low} to {high}; {gained.count} seeds"
    return (
        f"On test, touched once a seed: {best.mean:.1%} against {default.mean:.1%}, "
        f"{formatting.points(gained.mean)} points ({interval}). These are the students that won on "
        f"validation: their luck is in this gain and not in its interval; other seeds tell its worth."
    )


def searched(found):
    """What was searched on, and how many trials became what."""
    dataset = found.description["dataset"]
    images = dataset.get("examples", {}).get("validation")
    on = (
        f"{images:,} validation images of {dataset['name']}" if images else f"validation of {dataset['name']}"
    )
    seeds = f"seed{'' if len(found.seeds) == 1 else 's'} {', '.join(map(str, found.seeds))} each"
    return f"Searched on {on} by {found.tuner}: {counts(found)}, {seeds}."


def counts(found):
    """How many trials there were, and how many finished, failed, were stopped, went on from another."""
    shorter = [trial for trial in found.scored if trial.epochs < found.epochs]
    parts = {
        "finished": len(found.scored),
        "failed": len(found.failed),
        "stopped": len(found.trials) - len(found.scored) - len(found.failed),
    }
    told = [f"{count} {word}" for word, count in parts.items() if count or word == "finished"]
    if shorter:
        told.append(f"{len(found.scored) - len(shorter)} of them trained to the end ({found.epochs} epochs)")
    if found.reused:
        told.append(f"{len(found.reused)} went on from a shorter one")
    return f"{len(found.trials)} trial{'' if len(found.trials) == 1 else 's'}: {', '.join(told)}"
