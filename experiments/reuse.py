"""Looks at how the networks of a run use their features and blocks, and how alike they are.

    python -m experiments.reuse --run=runs/distill-digits

writes `reuse/` in the run's folder: `reuse.html`, pictures, every number as JSON, and every array (CKA,
spectra, ranks, classifiers, branches, lesions, with the names of layers and blocks) in `reuse.npz`. With the
folder of a study it looks at each residual network, its plain twin and the one that its twin taught. The same
command goes on where it was stopped. A network without blocks is compared by all its layers.
"""

import dataclasses
import functools

from absl import flags

from experiments import console, looking, networks
from keras_kd.analysis import reuse
from keras_kd.analysis.reuse import features, probes
from keras_kd.analysis.reuse import report as reuse_report
from keras_kd.models import blocks
from keras_kd.utils import progress

_DEFAULTS = reuse.ReuseConfig()

flags.DEFINE_string("layers", _DEFAULTS.layers, "'blocks', 'all', or names with commas between them.")
flags.DEFINE_integer("draws", _DEFAULTS.draws, "Random lesions for each number of blocks.", lower_bound=1)
flags.DEFINE_integer("most", _DEFAULTS.most, "Most blocks silenced together, and swaps.", lower_bound=1)
flags.DEFINE_integer(
    "probe_examples",
    _DEFAULTS.probe_examples,
    "Images that train linear classifiers, of two classes at least; 0: none.",
    lower_bound=0,
)
flags.DEFINE_integer("batch_size", _DEFAULTS.batch_size, "Images at a time, 7 at least.", lower_bound=7)
flags.DEFINE_integer(
    "seed",
    _DEFAULTS.seed,
    "Of lesions and of the choice of images, together with the seed of the networks: each seed of a study "
    "has draws of its own.",
    lower_bound=0,
)


def main():
    options = reuse.ReuseConfig(
        **{field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(reuse.ReuseConfig)}
    )
    result, groups = networks.read()
    check(result, groups, options)
    with looking.opened("reuse") as folder:
        with progress.ProgressReporter(console.STOP.check) as report:
            groups = looking.each(groups, folder, functools.partial(look, result, options, report))
        for remark in dict.fromkeys(remark for group in groups for remark in reuse_report.remarks(group)):
            progress.say(remark)
        looking.finish(folder, "reuse", result, groups)


def check(result, groups, options):
    """Raises a ValueError for flags, data or layers that are not possible, before anything is written."""
    for group in {group.seed: group for group in groups}.values():
        _check_data(networks.load_dataset(result, group.seed), own(options, group))
    for network in groups[0].load().values():
        blocks.layers_of(network, reuse.layers_compared(network, options.layers))


def _check_data(dataset, options):
    split = networks.SPLIT.value
    count = len(getattr(dataset, split).labels)
    if count < features.FEWEST_EXAMPLES:
        raise ValueError(
            f"CKA needs at least {features.FEWEST_EXAMPLES} images. Received: --split={split} with {count}; "
            f"take the other split"
        )
    if options.probe_examples:
        try:
            probes.probe_examples(dataset, options.probe_examples, options.seed)
        except ValueError as error:
            raise ValueError(f"--probe_examples={options.probe_examples}: {error}, or 0 for none") from error


def own(options, group):
    """The options with the seed of what is drawn about one group: each seed of a study has its own."""
    return dataclasses.replace(options, seed=group.draws(options.seed))


def look(result, options, report, group, folder):
    """How the networks of one group use their blocks."""
    options = own(options, group)
    dataset = networks.load_dataset(result, group.seed)
    loaded = group.load()
    images, labels = networks.examples(loaded, dataset, options.seed)
    named = report.named(group.name)
    return reuse.analyze(loaded, dataset, images, labels, options, folder, on_progress=named)


if __name__ == "__main__":
    console.run(main)
