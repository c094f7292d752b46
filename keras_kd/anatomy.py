"""How networks that belong together use their blocks: every measure of `reuse` and `lesions`, and sums of
them.

found = look({"residual": a, "plain": b, "plain + KD": c}, dataset, images, labels, Options())
"""

import dataclasses
import itertools

import numpy as np

from keras_kd import lesions, reuse, storage


@dataclasses.dataclass(frozen=True)
class Options:
    """What to look at.

    Attributes:
      layers: "blocks", "all", or names with commas between them (see `reuse.layers_of`).
      draws: random lesions for each number of blocks.
      most: the largest number of silenced blocks, and of swaps.
      probe_examples: training images of the linear classifiers, at the most; 0: no such classifiers.
      batch_size: images at a time; a batch gives one estimate of CKA's terms.
      seed: of lesions and of the choice of the classifiers' images.
    """

    layers: str = "blocks"
    draws: int = 5
    most: int = 10
    probe_examples: int = 2000
    batch_size: int = 256
    seed: int = 0


def look(networks, dataset, images, labels, options, *, watch=lambda title, done, total: None):
    """Measures how networks use their features and blocks.

    Args:
      networks: `{label: keras.Model}`, on the same inputs. What asks for blocks is left out of a network that
        has none of `resnet`'s.
      dataset: a `keras_kd.datasets.Dataset`, for the linear classifiers.
      images, labels: normalised examples, for everything else.
      options: an `Options`.
      watch: is called with what is being measured, the steps done and their number.

    Returns:
      `{"networks": [...], "cka": [...]}`, plain values with None for what is not defined.

    Raises:
      ValueError: for layers that a network does not have.
    """
    layers = {label: reuse.layers_of(network, options.layers) for label, network in networks.items()}
    patients = {label: lesions.Patient(net) for label, net in networks.items() if reuse.blocks_of(net)}
    shared = _in_all([patient.silenceable for patient in patients.values()])
    steps = len(networks) + 1
    watch("feature reuse", 0, steps)
    similarities = _similarities(networks, layers, images, options.batch_size)
    watch("feature reuse", 1, steps)
    found = []
    for number, (label, network) in enumerate(networks.items(), 2):
        measured = {"label": label, "layers": layers[label]}
        measured |= _features(network, layers[label], dataset, images, options)
        if label in patients:
            measured |= _branches(network, images, options)
            measured |= _lesions(patients[label], shared, images, labels, options)
        found.append(measured | _similar(label, next(iter(networks)), similarities))
        watch("feature reuse", number, steps)
    return storage.plain_values({"networks": found, "cka": list(similarities.values())})


def _in_all(lists):
    """What stands in every list, in the order of the first."""
    return [each for each in lists[0] if all(each in other for other in lists)] if lists else []


def _similarities(networks, layers, images, batch_size):
    """CKA of each network with itself and with each other, from one pass through each."""
    pairs = list(itertools.combinations_with_replacement(networks, 2))
    measures = {pair: reuse.CKA(*(layers[label] for label in pair)) for pair in pairs}
    streams = [reuse.features(networks[label], layers[label], images, batch_size) for label in networks]
    for batch in zip(*streams, strict=True):
        features = dict(zip(networks, batch, strict=True))
        for (one, other), measure in measures.items():
            measure.update(features[one], features[other])
    return {
        (one, other): {
            "x": one,
            "y": other,
            "layers_x": layers[one],
            "layers_y": layers[other],
            "values": measure.result(),
        }
        for (one, other), measure in measures.items()
    }


def _similar(label, first, similarities):
    """How like neighbours are, and like the first network's layers in the same place."""
    own = similarities[label, label]["values"]
    found = {"cka_neighbours": float(np.mean(np.diagonal(own, 1))) if len(own) > 1 else None}
    against = similarities[first, label]["values"]
    if against.shape[0] == against.shape[1]:
        found["cka_first"] = float(np.mean(np.diagonal(against)))
    return found


def _features(network, layers, dataset, images, options):
    """What the layers hold: dimensions in use, and classes that a linear classifier reads from them."""
    spectra = reuse.spectra(network, images, layers, options.batch_size)
    ranks = [reuse.effective_rank(values) for values in spectra.values()]
    found = {"spectra": list(spectra.values()), "ranks": ranks, "effective_rank": float(np.mean(ranks))}
    if options.probe_examples:
        probes = reuse.probe_accuracies(
            network, dataset, layers, examples=options.probe_examples, seed=options.seed
        )
        found |= {"probes": list(probes.values()), "probe_middle": list(probes.values())[len(layers) // 2]}
    return found


def _branches(network, images, options):
    """What the blocks add."""
    branches = reuse.branch_ratios(network, images, options.batch_size)
    return {
        "branches": branches,
        "branch_ratio": _mean(branch.ratio for branch in branches.values()),
        "branch_cosine": _mean(branch.cosine for branch in branches.values()),
    }


def _lesions(patient, shared, images, labels, options):
    """What is left without blocks; sums over the blocks that can be silenced in all networks."""
    found = lesions.examine(
        patient,
        images,
        labels,
        blocks=shared,
        draws=options.draws,
        most=options.most,
        seed=options.seed,
        batch_size=options.batch_size,
    )
    return {
        "lesions": found,
        "cannot_be_silenced": [block for block in patient.blocks if block not in patient.silenceable],
        "accuracy": found.intact,
        "lesion_drop": _mean(found.intact - accuracy for accuracy in found.single.values()),
        "lesion_worst": max((found.intact - accuracy for accuracy in found.single.values()), default=None),
        "swap_drop": found.intact - _mean(found.swapped[1]) if found.swapped else None,
    }


def _mean(values):
    values = [value for value in values if np.isfinite(value)]
    return float(np.mean(values)) if values else None
