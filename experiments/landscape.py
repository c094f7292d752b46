"""Draws the loss landscape around the networks of a run and between twins, and measures how rough it is.

    python -m experiments.landscape --run=runs/distill-digits

writes `landscape/` in the run's folder: `landscape.html` with surfaces to turn, pictures, every array as
.npz. With the folder of a study it takes each residual network, its plain twin and the plain one that it is
the teacher of. The same command goes on where it was stopped.
"""

from absl import flags

from experiments import analyses, console
from keras_kd.analysis import landscape, session
from keras_kd.analysis.landscape import surface


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    usual, of = landscape.LandscapeConfig(), {"flag_values": values}
    analyses.define_flags(values)
    flags.DEFINE_integer("steps", usual.steps, "Points along each axis of a plane, odd.", **of)
    flags.DEFINE_float("span", usual.span, "Reach of planes, in the norms of the network's filters.", **of)
    flags.DEFINE_enum(
        "batch_norm",
        usual.batch_norm,
        surface.BATCH_NORM,
        "Statistics around a network: its own, or measured again at each point.",
        **of,
    )
    flags.DEFINE_bool("vectors", usual.vectors, "Whether biases and BatchNorm's scales move too.", **of)
    flags.DEFINE_integer(
        "hessian_steps", usual.hessian_steps, "Points along each axis with the Hessian's extremes.", **of
    )
    flags.DEFINE_integer(
        "eigenvalues", usual.eigenvalues, "Of the Hessian at a network.", lower_bound=1, **of
    )
    flags.DEFINE_integer("trace_samples", usual.trace_samples, "Products for its trace.", lower_bound=2, **of)
    words = "Of directions, random vectors and images, together with the seed of the networks."
    flags.DEFINE_integer("seed", usual.seed, words, lower_bound=0, **of)


def main():
    config = analyses.config_of(flags.FLAGS, landscape.LandscapeConfig)
    analyses.run(flags.FLAGS, "landscape", session.landscape_of, config, session.check_landscape)


define_flags(flags.FLAGS)

if __name__ == "__main__":
    console.run(main)
