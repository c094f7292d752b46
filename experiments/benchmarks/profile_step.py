"""The operations that a training step spends its time in, by TensorFlow's profiler.

    python -m experiments.benchmarks.profile_step --size=cifar --contender=live

prints the operations with the most time, summed over the threads, and where the trace lies that
TensorBoard's profile plugin shows.
"""

import collections
import pathlib
import re
import sys
import tempfile

from experiments.benchmarks import contenders
from keras_kd.cli import console
from keras_kd.cli.flags import COMMON, Group
from keras_kd.cli.main import call_command
from keras_kd.utils import backend, limits

# How TensorFlow names the run of an operation: name and type.
_OPERATION = re.compile(r"[^:]+:([A-Z_]\w+)")


class Recorded(contenders.Turns):
    """Lets the warm-up pass, records, and ends."""

    def __init__(self, folder, warmup, steps):
        super().__init__()
        self._folder, self._warmup, self._steps = folder, warmup, steps
        self._taken = 0

    def begin(self):
        import tensorflow as tf

        if self._taken == self._warmup:
            tf.profiler.experimental.start(str(self._folder))
        if self._taken == self._warmup + self._steps:
            tf.profiler.experimental.stop()
            raise contenders.DoneError

    def end(self):
        self._taken += 1


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.choice("size", "cifar", contenders.SIZES, "Networks and batches.")
    flags.choice(
        "contender", "live", [name for name in contenders.CONTENDERS if name != "torch"], "Whose step."
    )
    flags.integer("measured_steps", 5, "Steps that are recorded.", limits.ROUNDS)
    flags.integer("warmup", 4, "Steps before.", limits.ROUNDS)
    flags.integer("top", 12, "Rows of the table.", limits.ROUNDS)
    flags.text("out", None, "Folder of the trace; a temporary one if not given.")


def main(values):
    """Does what the flags ask for."""
    if not backend.on_tensorflow():
        raise ValueError("this is TensorFlow's profiler: it needs KERAS_BACKEND=tensorflow")
    folder = pathlib.Path(values.out or tempfile.mkdtemp(prefix="profile-"))
    contender = contenders.Contender(
        contenders.SIZES[values.size], {}, Recorded(folder, values.warmup, values.measured_steps)
    )
    try:
        contender.run(values.contender)
    except contenders.DoneError:
        seconds = operations(max(folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime))
    whole = sum(seconds.values())
    table = [
        {
            "operation": name,
            "ms/step": f"{1000 * value / values.measured_steps:.1f}",
            "share": console.percent(value / whole),
        }
        for name, value in seconds.most_common(values.top)
    ]
    console.print_table(f"{values.contender}, {contenders.SIZES[values.size].title}", table, list(table[0]))
    console.print_paths(trace=folder)


def operations(path):
    """Seconds by type of operation in a recorded trace."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    seconds = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                found = _OPERATION.fullmatch(plane.event_metadata[event.metadata_id].name)
                if found:
                    seconds[found[1]] += event.duration_ps / 1e12
    return seconds


if __name__ == "__main__":
    name = "python -m experiments.benchmarks.profile_step"
    sys.exit(call_command(sys.modules[__name__], name, sys.argv[1:]))
