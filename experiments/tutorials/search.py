"""Temperature and alpha found by a search, and the best setting trained again.

    python -m experiments.tutorials.search

types two commands: `search` tries settings with two seeds each and chooses on validation; `distill` trains
the best one. docs/tutorials/search.md has what they print.
"""

import json
import pathlib

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group
from keras_kd.utils import limits


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("folder", "runs/tutorial-search", "Gets both runs.")
    flags.integer("depth", 8, "Of teacher and student: 8, 14, 20, ...", limits.DEPTH)
    flags.integer("trials", 6, "How many settings.", limits.TRIALS)
    flags.integer("seeds", 2, "Trainings of each setting.", limits.SEEDS)
    flags.integer("epochs", 8, "Of each training.", limits.EPOCHS)


def main(values):
    """Does what the flags ask for."""
    folder = pathlib.Path(values.folder)
    commands.type_command(
        "search",
        f"--trials={values.trials}",
        f"--seeds_per_trial={values.seeds}",
        f"--epochs={values.epochs}",
        *(f"--{network}_depth={values.depth}" for network in ("teacher", "student")),
        f"--out={folder / 'search'}",
    )
    commands.type_command(
        "distill", f"--flagfile={folder / 'search' / 'best.cfg'}", f"--out={folder / 'best'}"
    )

    effects = json.loads((folder / "best" / "result.json").read_text())["effects"]
    low, high = effects["gain_interval"]
    print(
        f"\nTrained again, the best setting gains {100 * effects['gain']:+.1f} points on the student alone "
        f"({100 * low:+.1f} to {100 * high:+.1f}: over test images; another seed would give other numbers)."
    )


if __name__ == "__main__":
    commands.start("search")
