"""Draw the loss landscape around the networks of a run and between twins, and measure how rough it is.

    keras-kd landscape --run=runs/distill-digits

writes `landscape/` in the run's folder: `landscape.html` with surfaces to turn, pictures, every array as
.npz. With the folder of a study it takes each residual network, its plain twin and the plain one that it is
the teacher of. The same command goes on where it was stopped.
"""

from keras_kd.cli import analyses, flags
from keras_kd.utils import limits


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    analyses.define_flags(values)
    surface = flags.Group(values, "landscape")
    surface.integer("steps", 21, "Points along each axis of a plane, odd.", limits.PLANE_STEPS)
    surface.number("span", 1.0, "Reach of planes, in the norms of the network's filters.", limits.SPAN)
    words = "Statistics around a network: its own, or measured again at each point."
    surface.choice("batch_norm", "keep", ("keep", "estimate"), words)
    surface.switch("vectors", False, "Move biases and BatchNorm's scales too.")
    words = "Points along each axis with the Hessian's extremes, odd; 0: none."
    surface.integer("hessian_steps", 3, words, limits.HESSIAN_STEPS)
    surface.integer("eigenvalues", 5, "Of the Hessian at a network.", limits.EIGENVALUES)
    words = "Products for its trace, and random directions of the curvature."
    surface.integer("trace_samples", 20, words, limits.TRACE_SAMPLES)
    words = "Most of each training at which the Hessian's largest eigenvalue is sought; 0: none."
    surface.integer("snapshots", 10, words, limits.SNAPSHOTS)
    words = "Of directions, random vectors and images, together with the seed of the networks."
    surface.integer("seed", 0, words, limits.SEED)


check = analyses.check


def main(values):
    """Does what the flags ask for."""
    from keras_kd.analysis import landscape, session

    config = analyses.config_of(values, landscape.LandscapeConfig)
    analyses.analyze(values, "landscape", config, session.landscape_of, session.check_landscape)
