"""Measures how the networks of a run use their features and blocks, and how alike they are.

    python -m experiments.reuse --run=runs/distill-digits

writes `reuse/` in the run's folder: `reuse.html`, pictures, every number as JSON, and every array (CKA,
spectra, ranks, classifiers, branches, lesions, with the names of layers and blocks) in `reuse.npz`. With the
folder of a study it takes each residual network, its plain twin and the plain one that it is the teacher of.
The same command goes on where it was stopped. A network without blocks is compared by all its layers.
"""

from absl import flags

from experiments import analyses, console
from keras_kd.analysis import reuse, session


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    usual, of = reuse.ReuseConfig(), {"flag_values": values}
    analyses.define_flags(values)
    flags.DEFINE_string("layers", usual.layers, "'blocks', 'all', or names with commas between them.", **of)
    flags.DEFINE_integer("draws", usual.draws, "Lesions for each number of blocks.", lower_bound=1, **of)
    flags.DEFINE_integer("most", usual.most, "Most blocks silenced, and swaps.", lower_bound=1, **of)
    words = "Images that train linear classifiers, of two classes at least; 0: none."
    flags.DEFINE_integer("probe_examples", usual.probe_examples, words, lower_bound=0, **of)
    flags.DEFINE_integer("batch_size", usual.batch_size, "Images at a time, 7 at least.", lower_bound=7, **of)
    words = "Of lesions and the choice of images, together with the seed of the networks."
    flags.DEFINE_integer("seed", usual.seed, words, lower_bound=0, **of)


def main():
    config = analyses.config_of(flags.FLAGS, reuse.ReuseConfig)
    analyses.run(flags.FLAGS, "reuse", session.reuse_of, config, session.check_reuse)


define_flags(flags.FLAGS)

if __name__ == "__main__":
    console.run(main)
