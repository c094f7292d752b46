"""Measure how the networks of a run use their features and blocks, and how alike they are.

    keras-kd reuse --run=runs/distill-digits

writes `reuse/` in the run's folder: `reuse.html`, pictures, every number as JSON, and every array (CKA,
spectra, ranks, classifiers, branches, lesions, with the names of layers and blocks) in `reuse.npz`. With the
folder of a study it takes each residual network, its plain twin and the plain one that it is the teacher of.
The same command goes on where it was stopped. A network without blocks is compared by all its layers.
"""

from keras_kd.cli import analyses, flags
from keras_kd.utils import limits


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    analyses.define_flags(values)
    reuse = flags.Group(values, "feature reuse")
    reuse.text("layers", "blocks", "'blocks', 'all', or names with commas between them.")
    reuse.integer("draws", 5, "Random lesions for each number of blocks.", limits.DRAWS)
    reuse.integer("most", 10, "Most blocks silenced together, and swaps.", limits.SILENCED)
    words = "Images that train linear classifiers, of two classes at least; 0: none."
    reuse.integer("probe_examples", 2000, words, limits.EXAMPLES)
    reuse.integer("batch_size", 256, "Images at a time, 7 at least.", limits.REUSE_BATCH)
    words = "Of lesions and the choice of images, together with the seed of the networks."
    reuse.integer("seed", 0, words, limits.SEED)


check = analyses.check


def main(values):
    """Does what the flags ask for."""
    from keras_kd.analysis import reuse, session

    config = analyses.config_of(values, reuse.ReuseConfig)
    analyses.analyze(values, "reuse", config, session.reuse_of, session.check_reuse)
