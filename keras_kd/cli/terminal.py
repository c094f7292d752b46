"""Tables of results on the screen."""

from keras_kd.cli import console


def network_row(label, row):
    """One network's measures, `{name: number}`, as a row for `console.print_table`."""
    return {
        "network": label.replace("_", " "),
        "test accuracy": console.percent(row["accuracy"]),
        "test loss": f"{row['loss']:.3f}",
        "agreement": console.percent(row.get("agreement")),
        "parameters": f"{row['parameters']:,}",
        "seconds": "-" if row["seconds"] is None else f"{row['seconds']:.0f}",
    }


def print_comparison(networks, effects):
    """The table at the end of a distillation.

    Args:
      networks, effects: as in `result.json`; see `training.comparison.Comparison.to_json`.
    """
    effects_of = {"student_alone": ("drop",), "student_distilled": ("gain", "recovery")}
    table = [
        network_row(label, row) | {name: console.percent(effects[name]) for name in effects_of.get(label, ())}
        for label, row in networks.items()
    ]
    columns = ("network", "test accuracy", "drop", "gain", "recovery", "agreement", "parameters", "seconds")
    console.print_table("On test, touched once", table, columns)
