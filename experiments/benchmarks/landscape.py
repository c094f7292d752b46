"""How fast a loss surface is computed, against assigning weights and calling `model.evaluate` at each point.

    python -m experiments.benchmarks.landscape

takes a minute on two CPU cores: ResNet-20, 512 digits, turn by turn. `--eta` also computes a surface of
51 x 51 points on 1,000 images of 32x32 (ResNet-8 of width 8), which takes some minutes, and says how true the
time was that was told after 5 % of it.
"""

import pathlib
import statistics
import sys
import tempfile
import time

import keras
import numpy as np

import keras_kd
from keras_kd.analysis.landscape import directions, evaluation, surface
from keras_kd.cli import console
from keras_kd.cli.flags import COMMON, Group
from keras_kd.cli.main import call_command
from keras_kd.data import augmentation, datasets
from keras_kd.models import weights
from keras_kd.utils import environment, files, limits, progress

# What the grid evaluation is to be faster by.
WANTED = 5.0


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.integer("rounds", 7, "Turns of each; the medians count.", limits.ROUNDS)
    flags.switch("eta", False, "Check the time that is told on 51 x 51 points.")
    flags.text("out", "runs/benchmark_landscape.json", "Where the numbers go.")


def main(values):
    """Does what the flags ask for."""
    about = environment.machine() | {"versions": environment.versions("tensorflow", "keras")}
    found = {"machine": about, "per_point": speeds(values.rounds)}
    if values.eta:
        found["eta"] = truth_of_eta()
    files.write_json(found, values.out)
    console.print_paths(result=values.out)


def speeds(rounds):
    """Seconds a point of each, and how many times faster the grid evaluation is, turn by turn."""
    images, labels = digits(512)
    model = keras_kd.cifar_resnet(20, images.shape[1:])
    plane = directions.random_plane(weights.weights_of(model))
    points = directions.grid(*[np.linspace(-0.1, 0.1, 4)] * 2)
    evaluate = surface.LossSurface(model, images, labels).along(plane)
    contenders = {
        "assign and evaluate, batch 32": evaluator(model, plane, images, labels, 32),
        "assign and evaluate, one batch": evaluator(model, plane, images, labels, 512),
        "grid evaluation": lambda points: evaluate(points)[:, 0],
    }
    losses = [measure(points) for measure in contenders.values()]  # and what compiles is done
    turns = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            turns[name].append(timed(measure, points))
    ratios = {
        name: statistics.median(
            slow / fast for slow, fast in zip(turns[name], turns["grid evaluation"], strict=True)
        )
        for name in contenders
    }
    rows = [
        {
            "per point": name,
            "ms": f"{1000 * statistics.median(seconds):.1f}",
            "grid evaluation is faster": f"{ratios[name]:.1f} x",
        }
        for name, seconds in turns.items()
    ]
    console.print_table("ResNet-20, 512 digits", rows, list(rows[0]))
    met = "met" if min(ratios[name] for name in list(contenders)[:2]) >= WANTED else "missed"
    print(f"Wanted: {WANTED:g} x, {met}. Losses agree to {np.ptp(losses, axis=0).max():.0e} nats.")
    return {"seconds": turns, "ratios": ratios}


def digits(count):
    """Normalised training images and labels."""
    dataset = datasets.load("digits")
    images = augmentation.normalise(dataset.train.images[:count], dataset.mean, dataset.std)
    return np.asarray(images), dataset.train.labels[:count]


def evaluator(model, plane, images, labels, batch_size):
    """What one would write without a library: assign, evaluate."""
    copy = keras.models.clone_model(model)
    copy.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

    def measure(points):
        found = []
        for place in points:
            point = plane.at(place)
            for weight in copy.weights:
                weight.assign(point[weight.path])
            found.append(copy.evaluate(images, labels, batch_size=batch_size, verbose=0)[0])
        return np.array(found)

    return measure


def timed(measure, points):
    """Seconds a point."""
    began = time.perf_counter()
    measure(points)
    return (time.perf_counter() - began) / len(points)


def truth_of_eta(steps=51, examples=1000, after=0.05):
    """The time left that was told after a share of the points, and the time that it took from there."""
    rng = np.random.default_rng(0)
    model = keras_kd.cifar_resnet(8, width=8)
    images = rng.normal(size=(examples, 32, 32, 3)).astype("float32")
    plane = directions.random_plane(weights.weights_of(model))
    points = directions.grid(*[directions.centred_ticks(steps, 1.0)] * 2)
    height = surface.LossSurface(model, images, rng.integers(0, 10, examples))
    told = []
    left = progress.TimeLeft()

    def note(done, total):
        seconds = left.after(done, total)
        if not told and done >= after * total:
            told.extend((seconds, time.monotonic()))
        report("51 x 51 points", done, total)

    with (
        tempfile.TemporaryDirectory() as folder,
        progress.ProgressReporter(console.stop_signal().check) as report,
    ):
        path = pathlib.Path(folder) / "surface.npz"
        evaluation.GridEvaluation(path, height.along(plane), points, height.identity(plane)).run(note)
    took = time.monotonic() - told[1]
    print(f"After {after:.0%} of the points {told[0]:.0f} s were told to be left; it took {took:.0f} s.")
    return {"told": told[0], "took": took, "off_by": told[0] / took - 1}


if __name__ == "__main__":
    name = "python -m experiments.benchmarks.landscape"
    sys.exit(call_command(sys.modules[__name__], name, sys.argv[1:]))
