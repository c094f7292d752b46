"""A question of your own, asked over seeds: a study file, one command, and the numbers read again in Python.

    python -m experiments.tutorials.own_study

asks whether a teacher helps a narrow student more than a wide one: docs/tutorials/own-study.md.
"""

import csv
import pathlib

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group
from keras_kd.utils import limits, statistics

STUDY = """\
question: Does a residual teacher help a narrow plain student more than a wide one?
claims: [C1]
dataset: digits
seeds: 3
recipe: {epochs: 6, strategy: none}
network: {depth: 8}
teachers:
  large: {variant: residual, depth: 14, width: 8}
runs:
  - {width: [2, 8], variant: [residual, plain]}
  - {width: [2, 8], variant: plain + KD, teacher: large}
"""


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("folder", "runs/tutorial-study", "Gets the study file and its runs.")
    flags.integer("jobs", 2, "Runs at a time.", limits.JOBS)


def main(values):
    """Does what the flags ask for."""
    folder = pathlib.Path(values.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "width.yaml").write_text(STUDY)
    print(f"{folder / 'width.yaml'}:\n\n{STUDY}", end="", flush=True)
    runs = folder / "runs"
    commands.type_command(
        "study", f"--study={folder / 'width.yaml'}", f"--jobs={values.jobs}", f"--out={runs}"
    )

    gains = {width: gains_of(runs / "results.csv", width) for width in ("2", "8")}
    for width, gained in gains.items():
        print(f"width {width}: {said(gained)}")
    surplus = [narrow - wide for narrow, wide in zip(gains["2"], gains["8"], strict=True)]
    found = statistics.estimate(surplus)
    verdict = "undecided" if found.low <= 0 <= found.high else "decided, if nothing else was asked"
    print(
        f"The narrow student gains {said(surplus)} more than the wide one: {verdict} ({len(surplus)} seeds)."
    )


def gains_of(path, width):
    """Accuracy taught minus accuracy alone of the plain students of a width, one for each seed."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["width"] == width]
    accuracy = {(row["variant"], int(row["seed"])): float(row["accuracy"]) for row in rows}
    seeds = sorted(seed for variant, seed in accuracy if variant == "plain")
    return [accuracy["plain + KD", seed] - accuracy["plain", seed] for seed in seeds]


def said(differences):
    """Their mean in points, with Student's 95 % interval over seeds."""
    found = statistics.estimate(differences)
    return f"{100 * found.mean:+.1f} points ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


if __name__ == "__main__":
    commands.start("own_study")
