"""Tables of results on the screen."""

from keras_kd.cli import console
from keras_kd.export import cost_report, file_table
from keras_kd.reporting import formatting


def network_row(label, row):
    """One network's `comparison.NetworkResult` as a row for `console.print_table`."""
    return {
        "network": label.replace("_", " "),
        "test accuracy": console.percent(row.accuracy),
        "test loss": f"{row.loss:.3f}",
        "agreement": console.percent(row.agreement),
        "parameters": f"{row.parameters:,}",
        "seconds": "-" if row.seconds is None else f"{row.seconds:.0f}",
    }


def print_comparison(comparison):
    """The table at the end of a distillation.

    Args:
      comparison: a `training.comparison.Comparison`.
    """
    networks, effects = comparison.networks, comparison.effects
    told = {"student_distilled": effects}
    told |= dict([_last_student(comparison)])
    shown = {
        label: {"gain": formatting.points(each.gain), "recovery": _recovery(each)}
        for label, each in told.items()
    }
    shown["student_alone"] = {"drop": formatting.points(effects.drop)}
    table = [network_row(label, row) | shown.get(label, {}) for label, row in networks.items()]
    columns = ("network", "test accuracy", "drop", "gain", "recovery", "agreement", "parameters", "seconds")
    console.print_table("On test, touched once; drop and gain in points", table, columns)
    for label, each in told.items():
        if words := intervals_sentence(each):
            print(f"{label.replace('_', ' ')}: {words}" if len(told) > 1 else words)
    if words := meaning(comparison):
        print(words)


def meaning(comparison):
    """What a `Comparison` says of shortcuts, in a sentence; nothing where no twin was trained."""
    networks, (label, effects) = comparison.networks, _last_student(comparison)
    if effects.drop is None or not effects.drop_interval:
        return ""
    name, images = label.replace("_", " "), f"on {effects.test_images:,} test images, one seed"
    if effects.drop_interval[0] <= 0:
        return f"In short: no drop shows without shortcuts, so there is nothing to win back ({images})."
    left = effects.drop - effects.gain
    below = f"{left * 100:.1f} points below" if left > 0 else f"{-left * 100:.1f} points above"
    return (
        f"In short: without shortcuts the student loses {effects.drop * 100:.1f} points on its residual "
        f"twin; the {name} ends {below} the twin, with {console.percent(networks[label].accuracy)} "
        f"({images}; another seed would give other numbers)."
    )


def _last_student(comparison):
    """Label and `Effects` of the student that a run is about: the last one."""
    if comparison.removal_effects:
        return list(comparison.networks)[-1], comparison.removal_effects
    return "student_distilled", comparison.effects


def _recovery(effects):
    if not effects.recovery_interval:
        return "n/a" if effects.drop is None else "not defined"
    return formatting.plain(effects.recovery)


def intervals_sentence(effects):
    """How sure drop, gain and recovery are, in words; nothing for a result of an earlier version.

    Args:
      effects: a `comparison.Effects`.
    """
    if not effects.gain_interval:
        return ""
    parts = [
        f"{name} {difference * 100:+.1f} ({low * 100:+.1f} to {high * 100:+.1f}) points"
        for name, difference, interval in (
            ("drop", effects.drop, effects.drop_interval),
            ("gain", effects.gain, effects.gain_interval),
        )
        if difference is not None
        for low, high in [interval]
    ]
    if effects.recovery_interval:
        low, high = effects.recovery_interval
        parts.append(f"recovery {effects.recovery:.2f} ({low:.2f} to {high:.2f})")
    elif effects.drop is not None:
        parts.append("recovery not defined, as the drop's interval does not lie above 0")
    return (
        f"{', '.join(parts)}: 95 % intervals over {effects.test_images:,} test images; what another seed "
        f"would change is not in them."
    )


def print_files(about):
    """What a `manifest.Manifest` says of the files: which one for what, and how well it agrees."""
    for file, size, use, answers in file_table.advice(about):
        print(f"{file:<26} {size:>7}  {use}; {answers}")
    rows = [dict(zip(file_table.COLUMNS, row, strict=True)) for row in file_table.rows(about)]
    title = "Compared with the Keras model on test images, each by its own runtime"
    console.print_table(title, rows, file_table.COLUMNS)
    for remark in filter(None, (each.remark for each in about.files)):
        print(f"(!) {remark}")


# As many networks as fit side by side on a screen.
_PER_TABLE = 4


def print_costs(card):
    """What a `cost_results.CostCard` says: the networks against their residual twins, then the table."""
    for answer in card.answers:
        print(answer)
    networks = card.networks
    for start in range(0, len(networks), _PER_TABLE):
        columns, rows = cost_report.rows(networks[start : start + _PER_TABLE])
        title = f"What it costs, one image; {card.threads} thread(s)"
        console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)
