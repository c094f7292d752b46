"""How networks that belong together use their blocks: every measure of `reuse` and `lesions`, and sums of
them.

found = look({"residual": a, "plain": b, "plain + KD": c}, dataset, images, labels, Options())
"""

import dataclasses
import functools
import itertools
import pathlib

import numpy as np
from keras import ops

from keras_kd.analysis.reuse import features, lesions, metrics, similarity
from keras_kd.analysis.reuse.probes import probe_accuracies
from keras_kd.models import blocks, graph, inference, weights
from keras_kd.utils import array_store, files, identity, progress

ARRAYS = "reuse.npz"


@dataclasses.dataclass(frozen=True)
class ReuseConfig:
    """What to look at.

    Attributes:
      layers: "blocks", "all", or names with commas between them (see `blocks.layers_of`).
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


def analyze(
    networks,
    dataset,
    images,
    labels,
    options,
    folder=None,
    *,
    on_progress=progress.no_titled_progress,
):
    """Measures how networks use their features and blocks.

    Numbers that sum up blocks are over those that all the networks with blocks have: blocks that can be
    silenced, pairs that can be swapped, blocks whose ||F(x)|| / ||x|| (and cosine) is defined. Else a plain
    network, whose blocks that change the shape have none, would be compared over other blocks than its
    residual twin.

    Args:
      networks: `{label: keras.Model}`, on the same inputs, labels without "/". Of a network that has none of
        `resnet`'s blocks, "blocks" are all its layers, and lesions and branches are left out.
      dataset: a `keras_kd.data.Dataset`, for the linear classifiers.
      images, labels: normalised examples, for everything else.
      options: an `Options`.
      folder: gets every array in `ARRAYS`, each piece as soon as it is measured; what is there already is
        not measured again. None: nothing is kept.
      on_progress: is called with what is being measured, the steps done and their number; what it raises
        ends the work, with nothing lost but the last seconds.

    Returns:
      `{"networks": [...], "cka": [...]}`, plain values with None for what is not defined.

    Raises:
      ValueError: for layers that a network does not have, and for a folder with pieces of something else.
    """
    path = None if folder is None else pathlib.Path(folder) / ARRAYS
    store = array_store.ArrayStore(path, _identity(networks, dataset, images, labels, options))
    found = _Analysis(networks, dataset, (images, labels), options, store, on_progress)
    pairs, rows = found.similarities(), [found.row(label) for label in networks]
    _sum_up_branches([row for row in rows if "branches" in row])
    for row in rows:
        row |= _similar(row["label"], next(iter(networks)), pairs)
    return files.plain_values({"networks": rows, "cka": list(pairs.values())})


def _identity(networks, dataset, images, labels, options):
    """`{name: JSON value}`: of what the pieces are."""
    return {
        **{
            f"network {label}": f"{weights.structure(network)} {weights.digest(network)}"
            for label, network in networks.items()
        },
        "images": identity.array_digest({"images": images, "labels": labels}),
        "dataset": dataset.fingerprint,
        **dataclasses.asdict(options),
    }


def layers_compared(network, which):
    """Which layers of a network are compared: what `Options.layers` says, but "all" in place of no blocks."""
    return "all" if which == "blocks" and not blocks.blocks_of(network) else which


class _Analysis:
    """Measures piece by piece; what is kept is not measured again."""

    def __init__(self, networks, dataset, examples, options, store, on_progress):
        self._networks = networks
        self._dataset = dataset
        self._images, self._labels = examples
        self._options = options
        self._store = store
        self._on_progress = on_progress
        self._compared = {label: layers_compared(net, options.layers) for label, net in networks.items()}
        self._layers = {
            label: blocks.layers_of(net, self._compared[label]) for label, net in networks.items()
        }

    def row(self, label):
        """What was measured of one network."""
        row = {
            "label": label,
            "layers": self._layers[label],
            "compared": self._compared[label],
            "has_blocks": label in self._with_blocks,
        }
        row |= self._dimensions(label)
        if self._options.probe_examples:
            row |= self._probes(label)
        if row["has_blocks"]:
            return row | self._branches(label) | self._lesions(label)
        return row | self._accuracy(label)

    def _progress_of(self, title):
        return functools.partial(self._on_progress, title)

    # ---- layers

    def similarities(self):
        """`{(label, label): CKA}` of each network with itself and with each other."""
        pairs = list(itertools.combinations_with_replacement(self._networks, 2))
        if any(_cka(pair) not in self._store for pair in pairs):
            self._compare(pairs)
        return {
            (one, other): {
                "x": one,
                "y": other,
                **{
                    name: self._store[_cka((one, other))][name] for name in ("layers_x", "layers_y", "values")
                },
            }
            for one, other in pairs
        }

    def _compare(self, pairs):
        """One pass through each network; in memory are the features of one, and small matrices of all."""
        measures = {pair: similarity.CKA(*(self._layers[label] for label in pair)) for pair in pairs}
        sums = {
            f"{name} {pair}": values
            for pair, measure in measures.items()
            for name, values in measure.sums.items()
        }
        size = self._options.batch_size
        batches = len(features.batches(self._images, size))
        resumed = self._store.resume("cka", sums)
        streams = {
            label: features.features(network, self._layers[label], self._images, size, skip=resumed)
            for label, network in self._networks.items()
        }
        self._on_progress("CKA", resumed, batches)
        for done in range(resumed + 1, batches + 1):
            grams = {
                label: similarity.centred_grams(next(streams[label]), self._layers[label])
                for label in streams
            }
            for (one, other), measure in measures.items():
                measure.add(grams[one], grams[other])
            self._store.checkpoint("cka", sums, done)
            self._on_progress("CKA", done, batches)
        self._store.commit("cka", {_cka(pair): self._alike(pair, measures[pair]) for pair in pairs})

    def _alike(self, pair, measure):
        layers_x, layers_y = (self._layers[label] for label in pair)
        return {"layers_x": layers_x, "layers_y": layers_y, "values": measure.result()}

    def _dimensions(self, label):
        """The dimensions that layers make use of."""
        layers = self._layers[label]
        arguments = (self._networks[label], self._images, layers, self._options.batch_size)
        on_progress = self._progress_of(f"spectra of {label}")
        spectra = self._store.once(
            f"spectra/{label}", lambda: metrics.spectra(*arguments, on_progress=on_progress)
        )
        spectra = [spectra[layer] for layer in layers]
        ranks = self._per_layer("ranks", label, lambda: [metrics.effective_rank(each) for each in spectra])
        return {"spectra": spectra, "ranks": ranks, "effective_rank": float(np.mean(ranks))}

    def _probes(self, label):
        """The classes that a linear classifier reads from layers."""
        layers, options = self._layers[label], self._options

        def measure():
            found = probe_accuracies(
                self._networks[label],
                self._dataset,
                layers,
                examples=options.probe_examples,
                seed=options.seed,
                batch_size=options.batch_size,
                on_progress=self._progress_of(f"linear classifiers on {label}"),
            )
            return list(found.values())

        probes = self._per_layer("probes", label, measure)
        return {"probes": probes, "probe_middle": float(probes[len(layers) // 2])}

    def _per_layer(self, name, label, measure):
        """A number for each layer."""
        layers = self._layers[label]
        return self._store.once(f"{name}/{label}", lambda: {"layers": layers, "values": measure()})["values"]

    def _accuracy(self, label):
        """What `_lesions` tells too, of a network that has none."""

        def measure():
            forward = inference.compiled(graph.feature_extractor(self._networks[label]))
            parts = features.batches(self._images, self._options.batch_size)
            answers = [ops.convert_to_numpy(forward(part)["logits"]).argmax(axis=-1) for part in parts]
            return {"intact": np.mean(np.concatenate(answers) == self._labels)}

        return {"accuracy": float(self._store.once(f"accuracy/{label}", measure)["intact"])}

    # ---- blocks

    @functools.cached_property
    def _with_blocks(self):
        return [label for label, network in self._networks.items() if blocks.blocks_of(network)]

    @functools.cached_property
    def _patients(self):
        return {label: lesions.LesionedModel(self._networks[label]) for label in self._with_blocks}

    def _branches(self, label):
        """`{"branches": {block: what it adds}}`."""

        def measure():
            on_progress = self._progress_of(f"blocks of {label}")
            found = metrics.branch_ratios(
                self._networks[label], self._images, self._options.batch_size, on_progress=on_progress
            )
            values = {name: [getattr(branch, name) for branch in found.values()] for name in _OF_BRANCHES}
            return {"blocks": np.array(list(found), str), **values}

        found = self._store.once(f"branches/{label}", measure)
        return {
            "branches": {
                block: {name: found[name][place] for name in _OF_BRANCHES}
                for place, block in enumerate(found["blocks"].tolist())
            }
        }

    def _lesions(self, label):
        """What is left without blocks."""
        if f"lesions/{label}" not in self._store:
            self._examine(label)
        arrays = self._store[f"lesions/{label}"]
        found = _findings(arrays)
        drops = [found.intact - accuracy for accuracy in found.single.values()]
        return {
            "lesions": found,
            "cannot_be_silenced": arrays["cannot_be_silenced"],
            "accuracy": found.intact,
            "lesion_drop": _mean(drops),
            "lesion_worst": max(drops, default=None),
            "swap_drop": found.intact - _mean(found.swapped[1]) if found.swapped else None,
        }

    def _examine(self, label):
        """The same lesions for all patients, as far as they have the same blocks."""
        options, patients = self._options, self._patients.values()
        plan = lesions.plan_lesions(
            _in_all([patient.silenceable for patient in patients]),
            _in_all([patient.swappable for patient in patients]),
            draws=options.draws,
            most=options.most,
            seed=options.seed,
        )
        patient, title, total = self._patients[label], f"lesions of {label}", len(plan.lesions)
        found = {"accuracies": np.full(total, np.nan)}
        resumed = self._store.resume(title, found)
        self._on_progress(title, resumed, total)
        for done, lesion in enumerate(plan.lesions[resumed:], resumed + 1):
            found["accuracies"][done - 1] = patient.accuracy(
                self._images, self._labels, lesion.silenced, lesion.swapped, options.batch_size
            )
            self._store.checkpoint(title, found, done)
            self._on_progress(title, done, total)
        unable = [block for block in patient.blocks if block not in patient.silenceable]
        arrays = _arrays(plan.findings(found["accuracies"])) | {"cannot_be_silenced": np.array(unable, str)}
        self._store.commit(title, {f"lesions/{label}": arrays})


def _cka(pair):
    return "/".join(("cka", *pair))


def _arrays(findings):
    """`lesions.LesionResults` as `{name: array}`; `silenced` and `swapped` have a row a number, from 1."""
    return {
        "intact": findings.intact,
        "blocks": np.array(list(findings.single), str),
        "single": list(findings.single.values()),
        "silenced": _rows(findings.silenced),
        "swapped": _rows(findings.swapped),
    }


def _rows(many):
    rows = np.full((len(many), max(map(len, many.values()), default=0)), np.nan)
    for row, draws in zip(rows, many.values(), strict=True):
        row[: len(draws)] = draws
    return rows


def _findings(arrays):
    many = (
        {count: tuple(row[np.isfinite(row)].tolist()) for count, row in enumerate(arrays[name], 1)}
        for name in ("silenced", "swapped")
    )
    single = dict(zip(arrays["blocks"].tolist(), arrays["single"].tolist(), strict=True))
    return lesions.LesionResults(float(arrays["intact"]), single, *many)


_OF_BRANCHES = ("ratio", "cosine")


def _sum_up_branches(rows):
    """Adds to each row the means over the blocks for which all rows have the number."""
    for name in _OF_BRANCHES:
        defined = [
            [block for block, branch in row["branches"].items() if np.isfinite(branch[name])] for row in rows
        ]
        shared = _in_all(defined)
        for row in rows:
            row[f"branch_{name}"] = _mean(row["branches"][block][name] for block in shared)


def _in_all(lists):
    """What stands in every list, in the order of the first."""
    return [each for each in lists[0] if all(each in other for other in lists)] if lists else []


def _similar(label, first, similarities):
    """How like neighbours are, and like the first network's layers in the same place."""
    own = similarities[label, label]["values"]
    found = {"cka_neighbours": float(np.mean(np.diagonal(own, 1))) if len(own) > 1 else None}
    against = similarities[first, label]["values"]
    if against.shape[0] == against.shape[1]:
        found["cka_first"] = float(np.mean(np.diagonal(against)))
    return found


def _mean(values):
    values = list(values)
    return float(np.mean(values)) if values else None
