"""Where the time of distillation goes: steps of ours and of others, turn by turn, on one machine.

    python -m experiments.benchmark

takes a quarter of an hour on two CPU cores. Each contender has a process of its own; they take turns of a
few steps, so that what else the machine does falls on all alike. `--compare=OLD.json` shows what became
slower since. `KERAS_BACKEND=jax` measures Keras on JAX.
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys

import keras
from absl import flags

from experiments import console, contenders, machine, measures
from keras_kd.training import config
from keras_kd.utils import files, progress

SIZES = flags.DEFINE_list("sizes", ["digits", "cifar", "wide"], f"Of {', '.join(contenders.SIZES)}.")
CONTENDERS = flags.DEFINE_list("contenders", list(contenders.CONTENDERS), "Who takes part.")
STEPS = flags.DEFINE_integer("steps", 20, "Measured steps of each contender.", lower_bound=1)
TURN = flags.DEFINE_integer("turn", 4, "Steps in a turn.", lower_bound=1)
WARMUP = flags.DEFINE_integer("warmup", 4, "Steps before, first one included.", lower_bound=1)
PRECISION = flags.DEFINE_enum("precision", "float32", config.PRECISIONS, "Of Keras's contenders.")
IMAGES = flags.DEFINE_enum("images", "auto", config.IMAGES, "Where images lie and are augmented.")
JIT = flags.DEFINE_enum("jit_compile", "auto", list(config.JIT), "Whether XLA compiles the step.")
OUT = flags.DEFINE_string("out", "runs/benchmark.json", "Where the numbers go.")
COMPARE = flags.DEFINE_string("compare", None, "Numbers of another run of this script.")


def main():
    for flag, known in ((SIZES, contenders.SIZES), (CONTENDERS, contenders.CONTENDERS)):
        unknown = [name for name in flag.value if name not in known]
        if unknown:
            raise ValueError(f"--{flag.name} must be of {', '.join(known)}. Received: {unknown[0]!r}")
    before = read(COMPARE.value) if COMPARE.value else {}
    found = {"machine": described(), "options": options(), "sizes": {}}
    for size in SIZES.value:
        rows = measure(size)
        ratios = measures.ratios(rows)
        found["sizes"][size] = {"contenders": rows, "ratios": ratios}
        print_rows(contenders.SIZES[size].title, rows)
        print_ratios(ratios)
        if size in before:
            print_changes(rows, before[size])
        files.write_json(found, OUT.value)  # what is measured is not lost with the next size
    console.print_paths(result=OUT.value)


def options():
    """What Keras's contenders are told."""
    return {"precision": PRECISION.value, "images": IMAGES.value, "jit_compile": JIT.value}


def described():
    """What the numbers belong to."""
    return {
        **machine.describe(),
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices(),
        "versions": machine.versions("keras", keras.backend.backend(), "torch"),
    }


def is_there(package):
    """Whether a package is installed."""
    return importlib.util.find_spec(package) is not None


def read(path):
    """`{size: rows}` of another run."""
    try:
        with open(path, encoding="utf-8") as file:
            return {size: dict(found["contenders"]) for size, found in json.load(file)["sizes"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--compare={path} is not what this script wrote ({error})") from error


# All contenders are there at once: none may take the whole memory.
_SHARE_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


class Process:
    """A contender that waits for its turns."""

    def __init__(self, name, size):
        backend = "torch" if name == "torch" else keras.backend.backend()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "experiments.contenders", name, size, json.dumps(options())],
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
        self._process.wait(timeout=60)
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


def measure(size):
    """`{contender: {measure: number}}`."""
    names = [name for name in CONTENDERS.value if name != "torch" or is_there("torch")]
    if len(names) < len(CONTENDERS.value):
        print("PyTorch is not there, so it is left out: pip install 'keras_kd[benchmark]'")
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress.bar("steps"))
        task = bar.add_task(size, total=len(names) * (STEPS.value + WARMUP.value))
        processes, firsts, seconds = {}, {}, {name: [] for name in names}
        for name in names:  # one after the other, so that each has the machine for its first step
            processes[name] = Process(name, size)
            stack.callback(processes[name].kill)
            firsts[name] = processes[name].take(1)[0]
            processes[name].take(max(WARMUP.value - 1, 1))
            bar.advance(task, WARMUP.value)
        while len(seconds[names[-1]]) < STEPS.value:
            for name in names:
                steps = min(TURN.value, STEPS.value - len(seconds[name]))
                seconds[name] += processes[name].take(steps)
                bar.advance(task, steps)
        return {
            name: measures.row(contenders.SIZES[size].batch_size, firsts[name], seconds[name])
            | processes[name].end()
            for name in names
        }


def print_rows(title, rows):
    table = [
        {
            "contender": name.replace("_", " "),
            "ms/step": f"{1000 * row['median']:.1f}",
            "spread": console.percent(row["spread"]),
            "images/s": f"{row['images_per_second']:,.0f}",
            "first step, s": f"{row['first_step']:.1f}",
            "waits for data": console.percent(row.get("share_waiting_for_data")).replace("n/a", ""),
            "peak MB": f"{row['peak_bytes'] / 2**20:,.0f}",
        }
        for name, row in rows.items()
    ]
    console.print_table(title, table, list(table[0]))


def print_ratios(ratios):
    table = [
        {
            "ratio of throughputs, if not of times": what,
            "wanted": ratio["wanted"],
            "found": f"{ratio['found']:.2f}",
            "": "met" if ratio["met"] else "missed",
        }
        for what, ratio in ratios.items()
    ]
    if table:
        console.print_table("Targets", table, list(table[0]))


def print_changes(rows, before):
    """The medians of both runs, and what changed in units of the student alone."""
    changes = measures.changes(rows, before)
    table = [
        {
            "contender": name.replace("_", " "),
            "ms/step then": f"{1000 * before[name]['median']:.1f}",
            "now": f"{1000 * row['median']:.1f}",
            "slower, in steps of the student alone": f"{changes[name]:+.0%}" if name in changes else "",
        }
        for name, row in rows.items()
        if name in before
    ]
    if table:
        console.print_table(f"Compared with {COMPARE.value}", table, list(table[0]))


if __name__ == "__main__":
    console.run(main)
