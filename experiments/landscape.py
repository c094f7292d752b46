"""Looks at the loss landscape around the networks of a run, and between those that are twins.

    python -m experiments.landscape --run=runs/distill-digits

writes `landscape/` in the run's folder: `landscape.html` with surfaces to turn, pictures, every array as
.npz. With the folder of a study it looks at each residual network, its plain twin and the one that its twin
taught. The same command goes on where it was stopped.
"""

import dataclasses
import functools

from absl import flags

from experiments import console, looking, networks
from keras_kd.analysis import landscape
from keras_kd.analysis.landscape import surface
from keras_kd.utils import progress

_DEFAULTS = landscape.LandscapeConfig()

flags.DEFINE_integer("steps", _DEFAULTS.steps, "Points along each axis of a plane, odd.")
flags.DEFINE_float("span", _DEFAULTS.span, "Reach of planes, in the norms of the network's filters.")
flags.DEFINE_enum(
    "batch_norm",
    _DEFAULTS.batch_norm,
    surface.BATCH_NORM,
    "Statistics around a network: its own, or measured again at each point.",
)
flags.DEFINE_bool("vectors", _DEFAULTS.vectors, "Whether biases and BatchNorm's scales move too.")
flags.DEFINE_integer(
    "hessian_steps", _DEFAULTS.hessian_steps, "Points along each axis with the Hessian's extremes; 0: none."
)
flags.DEFINE_integer("eigenvalues", _DEFAULTS.eigenvalues, "Of the Hessian at a network.", lower_bound=1)
flags.DEFINE_integer("trace_samples", _DEFAULTS.trace_samples, "Products for its trace.", lower_bound=2)
flags.DEFINE_integer(
    "seed",
    _DEFAULTS.seed,
    "Of directions, random vectors and the choice of images, together with the seed of the networks.",
    lower_bound=0,
)

_NO_WAYS = "the way of each training: a study keeps no snapshots, train and distill do (--snapshots)"


def main():
    options = options_of_flags()
    result, groups = networks.read()
    networks.load_dataset(result, groups[0].seed)  # what is wrong is said before anything is written
    with looking.opened("landscape") as folder:
        with progress.ProgressReporter(console.STOP.check) as report:
            groups = looking.each(groups, folder, functools.partial(look, result, options, report))
        looking.finish(folder, "landscape", result, groups)


def options_of_flags():
    """The `analysis.LandscapeConfig` that the flags ask for."""
    names = [
        field.name for field in dataclasses.fields(landscape.LandscapeConfig) if field.name in flags.FLAGS
    ]
    return landscape.LandscapeConfig(**{name: flags.FLAGS[name].value for name in names})


def look(result, options, report, group, folder):
    """What there is to see around the networks of one group."""
    options = dataclasses.replace(options, seed=group.draws(options.seed))
    dataset = networks.load_dataset(result, group.seed)
    loaded = group.load()
    images, labels = networks.examples(loaded, dataset, options.seed)
    found = landscape.analyze(
        loaded,
        images,
        labels,
        options,
        folder,
        training_images=networks.training_images(dataset, len(labels), options.seed),
        ways=group.points(),
        on_progress=report.named(group.name),
    )
    return found if group.ways else found | {"left_out": [*found["left_out"], _NO_WAYS]}


if __name__ == "__main__":
    console.run(main)
