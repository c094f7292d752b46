"""Tables of results on the screen."""

from keras_kd.cli import answers, console
from keras_kd.export import cost_report, file_table
from keras_kd.reporting import formatting, notes
from keras_kd.training import over_seeds
from keras_kd.training.labels import ALONE, DISTILLED


def network_row(label, row):
    """One network's `comparison.NetworkResult` as a row for `console.print_table`."""
    return {
        "network": label.replace("_", " "),
        "test accuracy": console.percent(row.accuracy),
        "test loss": "inf" if row.loss is None else f"{row.loss:.3f}",
        "agreement": console.percent(row.agreement),
        "parameters": f"{row.parameters:,}",
        "seconds": "-" if row.seconds is None else f"{row.seconds:.0f}",
    }


def print_comparison(comparison, *, loss="kd", epochs=None):
    """What a distillation found: the answer, and the table below it.

    Args:
      comparison: a `training.comparison.Comparison`.
      loss: text of the losses that taught.
      epochs: of each training; None where that is not known.
    """
    print("\n".join(["", *sentences(comparison, loss=loss, epochs=epochs)]))
    print_networks(comparison)


def sentences(comparison, *, loss="kd", epochs=None):
    """What a distillation found, a list of sentences; arguments as for `print_comparison`."""
    accuracies = {label: row.accuracy for label, row in comparison.networks.items()}
    told = answers.distillation(accuracies, effects_of_students(comparison), loss=loss)
    return told + ([] if epochs is None else answers.short_run([comparison.history], epochs))


def print_networks(comparison):
    """The table of a `comparison.Comparison`."""
    table = [network_row(label, row) for label, row in comparison.networks.items()]
    columns = ("network", "test accuracy", "drop", "gain", "recovery", "agreement", "parameters", "seconds")
    print_table(table, list(comparison.networks), effects_of_students(comparison), columns)
    if comparison.effects.gain_interval:
        images = comparison.effects.test_images
        print(f"Intervals: 95 %, over {images:,} test images; what another seed would change is not in them.")
    noted = [(label.replace("_", " "), sentences) for label, sentences in comparison.notes.items()]
    console.print_notes(notes.grouped(noted))


def print_over_seeds(comparisons, *, loss="kd", epochs=None):
    """The same over seeds.

    Args:
      comparisons: a list of `training.comparison.Comparison`s, one for each seed.
      loss, epochs: as for `print_comparison`.
    """
    found, count = over_seeds.summarize(comparisons), len(comparisons)
    accuracies = {label: each.mean for label, each in found.accuracies.items()}
    told = answers.distillation(accuracies, found.effects, loss=loss, seeds=count)
    told += [] if epochs is None else answers.short_run([each.history for each in comparisons], epochs)
    print("\n".join(["", *told]))
    rows = [
        {
            "network": label.replace("_", " "),
            "test accuracy": console.percent(each.mean),
            "± sd": formatting.percent(each.deviation),
            "agreement": console.percent(found.agreements[label]),
            "seconds": _mean_seconds([one.networks[label].seconds for one in comparisons]),
        }
        for label, each in found.accuracies.items()
    ]
    columns = ("network", "test accuracy", "± sd", "drop", "gain", "recovery", "agreement", "seconds")
    print_table(rows, list(accuracies), found.effects, columns, f"On test, means over {count} seeds")
    print(f"Intervals: 95 %, over {count} seeds (Student's; Fieller's of the recovery).")


def _mean_seconds(seconds):
    return "-" if None in seconds else f"{sum(seconds) / len(seconds):.0f}"


def print_table(rows, labels, told, columns, title="On test, touched once"):
    """The table of networks, with drop, gain and recovery.

    Args:
      rows: as those of `console.print_table`, without the three.
      labels: of the rows.
      told: `{label: comparison.Effects}` of the students that were taught.
      columns: that are shown.
      title: of the table.
    """
    shown = {
        label: {"gain": formatting.points(each.gain), "recovery": _recovery(each)}
        for label, each in told.items()
    }
    shown[ALONE] = {"drop": formatting.points(next(iter(told.values())).drop)}
    table = [row | shown.get(label, {}) for label, row in zip(labels, rows, strict=True)]
    console.print_table(f"{title}; drop and gain in points", table, columns)


def effects_of_students(comparison):
    """`{label: Effects}` of a `Comparison`'s students that were taught, the one that it is about last."""
    told = {DISTILLED: comparison.effects}
    if comparison.removal_effects:
        told[list(comparison.networks)[-1]] = comparison.removal_effects
    return told


def is_raised(comparison):
    """Whether the gain of the student that a `Comparison` is about lies above 0, interval and all."""
    interval = list(effects_of_students(comparison).values())[-1].gain_interval
    return interval is None or interval[0] > 0


def _recovery(effects):
    if not effects.recovery_interval:
        return "n/a" if effects.drop is None else "not defined"
    return formatting.plain(effects.recovery)


def print_files(about):
    """What a `manifest.Manifest` says of the files: which one for what, and how well it agrees."""
    for file, size, use, agreement in file_table.advice(about):
        print(f"{file:<26} {size:>7}  {use}; {agreement}")
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
