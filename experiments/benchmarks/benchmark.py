"""Where the time of distillation goes: steps of ours and of others, turn by turn, on one machine.

    python -m experiments.benchmarks.benchmark

takes a quarter of an hour on two CPU cores. Each contender has a process of its own; they take turns of a
few steps, so that what else the machine does falls on all alike. `--compare=OLD.json` shows what became
slower since. `KERAS_BACKEND=jax` measures Keras on JAX. What losing the shortcuts costs in a step:

    python -m experiments.benchmarks.benchmark --sizes=shortcut_removal

and what each distillation loss costs beside KD: `--sizes=losses`.
"""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys

import keras

from experiments.benchmarks import contenders, measures
from keras_kd.cli import console
from keras_kd.cli.flags import COMMON, Group
from keras_kd.cli.main import call_command
from keras_kd.models import registry
from keras_kd.training import config
from keras_kd.utils import environment, files, limits, progress


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.texts("sizes", ["digits", "cifar", "wide"], f"Of {', '.join(contenders.SIZES)}.")
    words = "In place of the sizes': a network such as wide_resnet:16:2 or applications:MobileNetV3Small."
    flags.text("teacher", None, words)
    flags.text("student", None, "Likewise; without its shortcuts, if they can be switched off.")
    flags.texts("contenders", [], f"Of {', '.join(contenders.CONTENDERS)}; none: those of the size.")
    flags.integer("measured_steps", 20, "Measured steps of each contender.", limits.ROUNDS)
    flags.integer("turn", 4, "Steps in a turn.", limits.ROUNDS)
    flags.integer("warmup", 4, "Steps before, first one included.", limits.ROUNDS)
    flags.choice("precision", "float32", config.PRECISIONS, "Of Keras's contenders.")
    flags.choice("images", "auto", config.IMAGES, "Where images lie and are augmented.")
    flags.choice("jit_compile", "auto", list(config.JIT), "Whether XLA compiles the step.")
    flags.text("out", "runs/benchmark.json", "Where the numbers go.")
    flags.text("compare", None, "Numbers of another run of this script.")


def main(values):
    """Does what the flags ask for."""
    for flag, known in (("sizes", contenders.SIZES), ("contenders", contenders.CONTENDERS)):
        unknown = [name for name in values[flag].value if name not in known]
        if unknown:
            raise ValueError(f"--{flag} must be of {', '.join(known)}. Received: {unknown[0]!r}")
    sizes = {name: contenders.SIZES[name].of(values.teacher, values.student) for name in values.sizes}
    for size in sizes.values():
        for role in ("teacher", "student"):
            registry.parse_spec(getattr(size, role))
    before = read(values.compare) if values.compare else {}
    found = {"machine": described(), "options": options(values), "sizes": {}}
    for size in values.sizes:
        rows = measure(size, sizes[size], values)
        ratios = measures.ratios(rows)
        found["sizes"][size] = {
            "contenders": {name: row.to_json() for name, row in rows.items()},
            "ratios": {what: dataclasses.asdict(ratio) for what, ratio in ratios.items()},
        }
        print_rows(sizes[size].title, rows)
        print_ratios(ratios)
        if size in before:
            print_changes(rows, before[size], values.compare)
        files.write_json(found, values.out)  # what is measured is not lost with the next size
    console.print_paths(result=values.out)


def options(values):
    """What Keras's contenders are told."""
    told = {"precision": values.precision, "images": values.images, "jit_compile": values.jit_compile}
    networks = {"teacher": values.teacher, "student": values.student}
    return told | {role: spec for role, spec in networks.items() if spec}


def described():
    """What the numbers belong to."""
    return {
        **environment.machine(),
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices(),
        "versions": environment.versions("keras", keras.backend.backend(), "torch"),
    }


def is_there(package):
    """Whether a package is installed."""
    return importlib.util.find_spec(package) is not None


def read(path):
    """`{size: {contender: StepTimes}}` of another run."""
    try:
        with open(path, encoding="utf-8") as file:
            sizes = json.load(file)["sizes"]
        return {
            size: {name: measures.StepTimes.from_json(row) for name, row in found["contenders"].items()}
            for size, found in sizes.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--compare={path} is not what this script wrote ({error})") from error


# All contenders are there at once: none may take the whole memory.
_SHARE_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


class Process:
    """A contender that waits for its turns."""

    def __init__(self, name, size, told):
        backend = "torch" if name == "torch" else keras.backend.backend()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "experiments.benchmarks.contenders", name, size, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_SHARE_GPU, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.name = name

    def take(self, steps):
        """The seconds of so many steps."""
        return self._ask(str(steps))

    def end(self):
        """What else the contender measured."""
        measured = self._ask("")
        self.kill()  # all is measured, and a process may hang while its threads end
        return measured

    def _ask(self, line):
        with contextlib.suppress(BrokenPipeError):
            print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise ValueError(f"the contender {self.name!r} ended with status {self._process.wait()}")
        return json.loads(answer)

    def kill(self):
        """Ends it, if it has not ended."""
        self._process.kill()
        self._process.wait()


def measure(name_of_size, size, values):
    """`{contender: StepTimes}`."""
    wanted = values.contenders or size.contenders
    names = [name for name in wanted if name != "torch" or is_there("torch")]
    if len(names) < len(wanted):
        print("PyTorch is not there, so it is left out: pip install 'keras_kd[benchmark]'")
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress.bar("steps"))
        task = bar.add_task(name_of_size, total=len(names) * (values.measured_steps + values.warmup))
        processes, firsts, seconds = {}, {}, {name: [] for name in names}
        for name in names:  # one after the other, so that each has the machine for its first step
            processes[name] = Process(name, name_of_size, options(values))
            stack.callback(processes[name].kill)
            firsts[name] = processes[name].take(1)[0]
            processes[name].take(max(values.warmup - 1, 1))
            bar.advance(task, values.warmup)
        while len(seconds[names[-1]]) < values.measured_steps:
            for name in names:
                steps = min(values.turn, values.measured_steps - len(seconds[name]))
                seconds[name] += processes[name].take(steps)
                bar.advance(task, steps)
        return {
            name: measures.step_times(size.batch_size, firsts[name], seconds[name], **processes[name].end())
            for name in names
        }


def print_rows(title, rows):
    table = [
        {
            "contender": name.replace("_", " "),
            "ms/step": f"{1000 * row.median:.1f}",
            "spread": console.percent(row.spread),
            "images/s": f"{row.images_per_second:,.0f}",
            "first step, s": f"{row.first_step:.1f}",
            "waits for data": console.percent(row.share_waiting_for_data).replace("n/a", ""),
            "peak MB": f"{row.peak_bytes / 2**20:,.0f}",
        }
        for name, row in rows.items()
    ]
    console.print_table(title, table, list(table[0]))


def print_ratios(ratios):
    table = [
        {
            "ratio of throughputs, if not of times": what,
            "wanted": ratio.wanted,
            "found": f"{ratio.found:.2f}",
            "": "met" if ratio.met else "missed",
        }
        for what, ratio in ratios.items()
    ]
    if table:
        console.print_table("Targets", table, list(table[0]))


def print_changes(rows, before, path):
    """The medians of both runs, and what changed in units of the student alone."""
    changes = measures.changes(rows, before)
    table = [
        {
            "contender": name.replace("_", " "),
            "ms/step then": f"{1000 * before[name].median:.1f}",
            "now": f"{1000 * row.median:.1f}",
            "slower, in steps of the student alone": f"{changes[name]:+.0%}" if name in changes else "",
        }
        for name, row in rows.items()
        if name in before
    ]
    if table:
        console.print_table(f"Compared with {path}", table, list(table[0]))


if __name__ == "__main__":
    name = "python -m experiments.benchmarks.benchmark"
    sys.exit(call_command(sys.modules[__name__], name, sys.argv[1:]))
