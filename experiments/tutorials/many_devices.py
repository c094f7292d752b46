"""The same training on one device and on several, which are parts of the CPU here.

    python -m experiments.tutorials.many_devices

types `distill` once for each number of replicas, in a process of its own, and compares what they measured.
docs/tutorials/many-devices.md has what it prints.
"""

import json
import pathlib
import subprocess
import sys

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group
from keras_kd.utils import limits


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("folder", "runs/tutorial-devices", "Gets the runs.")
    flags.integer("epochs", 3, "Of each network.", limits.EPOCHS)
    flags.text("dataset", "digits", "Which images.")


def main(values):
    """Does what the flags ask for."""
    found = {}
    for replicas in (1, 2):
        run = pathlib.Path(values.folder) / f"replicas-{replicas}"
        arguments = ["--strategy=mirrored", f"--replicas={replicas}", f"--out={run}"]  # two GPUs: the same
        arguments += [f"--dataset={values.dataset}", f"--epochs={values.epochs}", "--teacher_depth=8"]
        arguments += ["--student_depth=8", "--shortcut_removal=none", "--snapshots=0", "--batch_size=48"]
        print(f"\n$ keras-kd distill {' '.join(arguments)}", flush=True)
        in_own_process("experiments.distill", *arguments)
        found[replicas] = json.loads((run / "result.json").read_text())["networks"]["student_distilled"]
    print()
    for replicas, network in found.items():
        print(f"{replicas} replicas: test accuracy {network['accuracy']:.2%}, loss {network['loss']:.6f}")
    difference = abs(found[1]["loss"] / found[2]["loss"] - 1)
    print(
        f"The losses differ by {difference:.0e} of their size: sums are rounded in another order, and "
        "training multiplies that."
    )


def in_own_process(module, *arguments):
    """Runs `python -m MODULE`: TensorFlow divides a CPU once a process, before all else."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    commands.start("many_devices")
