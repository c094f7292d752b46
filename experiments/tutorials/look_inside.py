"""Why two networks of equal accuracy are not the same: their loss landscape, and how they use their blocks.

    python -m experiments.tutorials.look_inside

takes a run of `distill` (and makes a small one if there is none), types `landscape` and `reuse` on it, and
reads their numbers again in Python. docs/tutorials/look-inside.md has what it prints.
"""

import json
import pathlib

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group
from keras_kd.utils import limits


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("run", "runs/tutorial-inside", "Folder of a run of distill.")
    flags.integer("steps", 11, "Points along each axis of a plane, odd.", limits.PLANE_STEPS)
    flags.integer("examples", 256, "Images at which is looked.", limits.EXAMPLES)


def main(values):
    """Does what the flags ask for."""
    run = pathlib.Path(values.run)
    if not (run / "result.json").exists():
        sizes = ["--teacher_depth=20", "--student_depth=20", "--epochs=10"]
        commands.type_command("distill", *sizes, "--snapshots=0", f"--out={run}")
    images = [f"--run={run}", f"--examples={values.examples}"]
    commands.type_command(
        "landscape", *images, f"--steps={values.steps}", "--hessian_steps=0", "--snapshots=0"
    )
    commands.type_command("reuse", *images, "--draws=2")

    surfaces, blocks = (networks_of(run / name / "result.json") for name in ("landscape", "reuse"))
    print()
    for label, surface in surfaces.items():
        print(
            f"{label:<20}accuracy {surface['accuracy']:6.1%}   not convex {surface['not_convex']:4.0%}   "
            f"without one block {-100 * blocks[label]['lesion_drop']:+.1f} points"
        )
    residual, taught = (blocks[label]["lesion_drop"] for label in ("teacher", "student distilled"))
    print(
        f"A block that is silenced changes the residual teacher by {-100 * residual:+.1f} points, the plain "
        f"student that it taught by {-100 * taught:+.1f} (one run of one seed)."
    )


def networks_of(path):
    """`{label: numbers}` of the networks that an analysis of one run looked at."""
    group = json.loads(path.read_text())["groups"][0]
    return {network["label"]: network for network in group["networks"]}


if __name__ == "__main__":
    commands.start("look_inside")
