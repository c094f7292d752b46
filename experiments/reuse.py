"""Looks at how the networks of a run use their features and blocks, and how alike they are.

    python -m experiments.reuse --run=runs/distill-digits

writes `reuse/` in the run's folder: `reuse.html`, pictures, and every number. With the folder of a study it
looks at each residual network, its plain twin and the one that its twin taught. The same command goes on
where it was stopped.
"""

import dataclasses
import functools

from absl import flags

from experiments import console, looking, networks, watching
from keras_kd import anatomy, reuse

_DEFAULTS = anatomy.Options()

flags.DEFINE_string("layers", _DEFAULTS.layers, "'blocks', 'all', or names with commas between them.")
flags.DEFINE_integer("draws", _DEFAULTS.draws, "Random lesions for each number of blocks.", lower_bound=1)
flags.DEFINE_integer("most", _DEFAULTS.most, "Most blocks silenced together, and swaps.", lower_bound=1)
flags.DEFINE_integer(
    "probe_examples",
    _DEFAULTS.probe_examples,
    "Images that train linear classifiers; 0: none.",
    lower_bound=0,
)
flags.DEFINE_integer("batch_size", _DEFAULTS.batch_size, "Images at a time, 4 at least.", lower_bound=4)
flags.DEFINE_integer("seed", _DEFAULTS.seed, "Of lesions and of the choice of images.")


def main():
    options = anatomy.Options(
        **{field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(anatomy.Options)}
    )
    result, groups = networks.read()
    check(result, groups[0], options)
    with looking.opened("reuse") as folder:
        with watching.Watch() as watch:
            groups = looking.each(groups, folder, functools.partial(look, result, options, watch))
        looking.finish(folder, "reuse", result, groups)


def check(result, group, options):
    """Raises a ValueError for data or layers that are not there, before anything is written."""
    networks.load_dataset(result, group.seed)
    for network in group.load().values():
        reuse.layers_of(network, options.layers)


def look(result, options, watch, group, folder):
    """How the networks of one group use their blocks."""
    dataset = networks.load_dataset(result, group.seed)
    loaded = group.load()
    images, labels = networks.examples(loaded, dataset, options.seed)
    named = functools.partial(watching.named, watch, group.name)
    return anatomy.look(loaded, dataset, images, labels, options, watch=named)


if __name__ == "__main__":
    console.run(main)
