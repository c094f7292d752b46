"""How networks that belong together use their features and blocks: every measure of this package.

result = analyze({"residual": a, "plain": b}, dataset, images, labels, ReuseConfig())
"""

import dataclasses
import functools
import itertools
import pathlib

import numpy as np
from keras import ops

from keras_kd.analysis.reuse import comparisons, features, lesion_plan, lesions, metrics, similarity
from keras_kd.analysis.reuse import trainings as training_reuse
from keras_kd.analysis.reuse.probes import probe_accuracies
from keras_kd.analysis.reuse.results import (
    LayerSimilarity,
    NetworkReuse,
    ReuseResult,
    TrainingReuse,
)
from keras_kd.models import blocks, graph, inference, weights
from keras_kd.utils import array_store, identity, limits, progress
from keras_kd.utils.files import plain_values

ARRAYS = "reuse.npz"


@dataclasses.dataclass(frozen=True)
class ReuseConfig:
    """What is measured of feature reuse.

    Attributes:
      layers: "blocks", "all", or names with commas between them (see `blocks.layers_of`).
      draws: random lesions for each number of blocks.
      most: the largest number of silenced blocks, and of swaps.
      probe_examples: training images of the linear classifiers, at the most; 0: no such classifiers.
      batch_size: images at a time; a batch gives one estimate of CKA's terms.
      seed: of lesions and of the choice of the classifiers' images.

    Raises:
      ValueError: for a value out of range, or a layer that is named twice.
    """

    layers: str = "blocks"
    draws: int = 5
    most: int = 10
    probe_examples: int = 2000
    batch_size: int = 256
    seed: int = 0

    def __post_init__(self):
        limits.check_each_once("layers", self.layers.split(","))
        for name, allowed in RANGES.items():
            allowed.check(name, getattr(self, name))


RANGES = {
    "draws": limits.DRAWS,
    "most": limits.SILENCED,
    "probe_examples": limits.EXAMPLES,
    "batch_size": limits.REUSE_BATCH,
    "seed": limits.SEED_OF_DRAWS,
}


def analyze(
    networks,
    dataset,
    images,
    labels,
    config,
    folder=None,
    *,
    trainings=None,
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
      config: a `ReuseConfig`.
      folder: gets every array in `ARRAYS`, each piece as soon as it is measured; what is there already is
        not measured again. None: nothing is kept.
      trainings: `{label: trainings.Training}` of those that kept snapshots: how like its residual twin each
        was, where that is among the networks.
      on_progress: is called with what is being measured, the steps done and their number; what it raises
        ends the work, with nothing lost but the last seconds.

    Returns:
      A `ReuseResult`.

    Raises:
      ValueError: for layers that a network does not have.
      IdentityMismatchError: for a folder with values of other networks, images or settings.
    """
    path = None if folder is None else pathlib.Path(folder) / ARRAYS
    store = array_store.ArrayStore(path, _identity(networks, dataset, images, labels, config))
    analysis = _Analysis(networks, dataset, (images, labels), config, store, on_progress)
    pairs = analysis.similarities()
    measured = comparisons.with_branch_means([analysis.network(label) for label in networks])
    first = next(iter(networks))
    return ReuseResult(
        [dataclasses.replace(each, **comparisons.similar(each.label, first, pairs)) for each in measured],
        list(pairs.values()),
        analysis.trainings(trainings or {}),
        analysis.lesion_differences(),
        len(labels),
    )


def _identity(networks, dataset, images, labels, config):
    """`{name: JSON value}`: of what the entries are."""
    return {
        **{
            f"network {label}": f"{weights.structure(network)} {weights.digest(network)}"
            for label, network in networks.items()
        },
        "images": identity.array_digest({"images": images, "labels": labels}),
        "dataset": dataset.fingerprint,
        **dataclasses.asdict(config),
    }


def layers_compared(network, which):
    """What `ReuseConfig.layers` means for one network: "all" in place of blocks that it does not have."""
    return "all" if which == "blocks" and not blocks.blocks_of(network) else which


class _Analysis:
    """Measures piece by piece; what is kept is not measured again."""

    def __init__(self, networks, dataset, examples, config, store, on_progress):
        self._networks = networks
        self._dataset = dataset
        self._images, self._labels = examples
        self._config = config
        self._store = store
        self._on_progress = on_progress
        self._compared = {label: layers_compared(net, config.layers) for label, net in networks.items()}
        self._layers = {
            label: blocks.layers_of(net, self._compared[label]) for label, net in networks.items()
        }

    def network(self, label):
        """The `NetworkReuse` of one network, without what depends on the others."""
        has_blocks = label in self._with_blocks
        numbers = self._dimensions(label)
        if self._config.probe_examples:
            numbers |= self._probes(label)
        numbers |= self._branches(label) | self._lesions(label) if has_blocks else self._accuracy(label)
        return NetworkReuse(
            label=label,
            layers=self._layers[label],
            compared=self._compared[label],
            has_blocks=has_blocks,
            **numbers,
        )

    def _progress_of(self, title):
        return functools.partial(self._on_progress, title)

    # ---- layers

    def similarities(self):
        """`{(label, label): CKA}` of each network with itself and with each other."""
        pairs = list(itertools.combinations_with_replacement(self._networks, 2))
        if any(_cka_piece(pair) not in self._store for pair in pairs):
            self._compare(pairs)
        return {pair: LayerSimilarity(*pair, **plain_values(self._store[_cka_piece(pair)])) for pair in pairs}

    def _compare(self, pairs):
        """One pass through each network; in memory are the features of one, and small matrices of all."""
        measures = {pair: similarity.CKA(*(self._layers[label] for label in pair)) for pair in pairs}
        sums = {
            f"{name} {pair}": values
            for pair, measure in measures.items()
            for name, values in measure.sums.items()
        }
        size = self._config.batch_size
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
        self._store.commit("cka", {_cka_piece(pair): self._alike(pair, measures[pair]) for pair in pairs})

    def _alike(self, pair, measure):
        layers_x, layers_y = (self._layers[label] for label in pair)
        return {"layers_x": layers_x, "layers_y": layers_y, "values": measure.result()}

    def _dimensions(self, label):
        """The dimensions that layers make use of."""
        layers = self._layers[label]
        arguments = (self._networks[label], self._images, layers, self._config.batch_size)
        on_progress = self._progress_of(f"spectra of {label}")
        spectra = self._store.once(
            f"spectra/{label}", lambda: metrics.spectra(*arguments, on_progress=on_progress)
        )
        spectra = [spectra[layer] for layer in layers]
        ranks = self._per_layer("ranks", label, lambda: [metrics.effective_rank(each) for each in spectra])
        return {
            "spectra": plain_values(spectra),
            "ranks": ranks.tolist(),
            "effective_rank": float(np.mean(ranks)),
        }

    def _probes(self, label):
        """The classes that a linear classifier reads from layers."""
        layers, config = self._layers[label], self._config

        def measure():
            found = probe_accuracies(
                self._networks[label],
                self._dataset,
                layers,
                examples=config.probe_examples,
                seed=config.seed,
                batch_size=config.batch_size,
                on_progress=self._progress_of(f"linear classifiers on {label}"),
            )
            return list(found.values())

        probes = self._per_layer("probes", label, measure)
        return {"probes": probes.tolist(), "probe_middle": float(probes[len(layers) // 2])}

    def _per_layer(self, name, label, measure):
        """A number for each layer."""
        layers = self._layers[label]
        return self._store.once(f"{name}/{label}", lambda: {"layers": layers, "values": measure()})["values"]

    def _accuracy(self, label):
        """What `_lesions` tells too, of a network that has none."""

        def measure():
            forward = inference.compiled(graph.feature_extractor(self._networks[label]))
            parts = features.batches(self._images, self._config.batch_size)
            answers = [ops.convert_to_numpy(forward(part)["logits"]).argmax(axis=-1) for part in parts]
            return {"intact": np.mean(np.concatenate(answers) == self._labels)}

        return {"accuracy": float(self._store.once(f"accuracy/{label}", measure)["intact"])}

    # ---- snapshots

    def trainings(self, trainings):
        """The `TrainingReuse` of each network that kept snapshots and has a twin to be like."""
        twins = {label: training_reuse.twin_of(self._networks[label], self._networks) for label in trainings}
        return [self._training(label, trainings[label], twin) for label, twin in twins.items() if twin]

    def _training(self, label, training, twin):
        epochs = list(training.snapshots)

        def measure():
            return {"epochs": epochs} | training_reuse.cka_of_snapshots(
                training,
                self._networks[label],
                self._networks[twin],
                self._images,
                self._config.batch_size,
                self._progress_of(f"the training of {label}"),
            )

        found = self._store.once(f"training/{label}", measure)
        numbers = {name: plain_values(found[name].tolist()) for name in found if name != "epochs"}
        return TrainingReuse(label, twin, epochs, **numbers, history=training.history)

    # ---- blocks

    @functools.cached_property
    def _with_blocks(self):
        return [label for label, network in self._networks.items() if blocks.blocks_of(network)]

    @functools.cached_property
    def _lesioned(self):
        return {label: lesions.LesionedModel(self._networks[label]) for label in self._with_blocks}

    def _branches(self, label):
        """`{"branches": {block: what it adds}}`."""

        def measure():
            on_progress = self._progress_of(f"blocks of {label}")
            found = metrics.branch_ratios(
                self._networks[label], self._images, self._config.batch_size, on_progress=on_progress
            )
            values = {
                name: [getattr(branch, name) for branch in found.values()] for name in comparisons.OF_BRANCHES
            }
            return {"blocks": np.array(list(found), str), **values}

        found = self._store.once(f"branches/{label}", measure)
        numbers = zip(*(found[name].tolist() for name in comparisons.OF_BRANCHES), strict=True)
        branches = zip(found["blocks"].tolist(), numbers, strict=True)
        return {"branches": {block: metrics.Branch(*plain_values(each)) for block, each in branches}}

    def _lesions(self, label):
        """What is left without blocks."""
        if f"lesions/{label}" not in self._store:
            self._run_lesions(label)
        arrays = self._store[f"lesions/{label}"]
        found = lesion_plan.LesionResults.from_arrays(arrays)
        drops = [found.intact - accuracy for accuracy in found.single.values()]
        return {
            "lesions": found,
            "cannot_be_silenced": arrays["cannot_be_silenced"].tolist(),
            "accuracy": found.intact,
            "lesion_drop": comparisons.mean(drops),
            "lesion_worst": max(drops, default=None),
            "swap_drop": found.intact - comparisons.mean(found.swapped[1]) if found.swapped else None,
        }

    def _run_lesions(self, label):
        """The same lesions for all networks, as far as they have the same blocks."""
        config, models = self._config, self._lesioned.values()
        plan = lesion_plan.plan_lesions(
            comparisons.in_all([model.silenceable for model in models]),
            comparisons.in_all([model.swappable for model in models]),
            draws=config.draws,
            most=config.most,
            seed=config.seed,
        )
        model, title, total = self._lesioned[label], f"lesions of {label}", len(plan.lesions)
        shown = plan.lesions[: 1 + len(plan.single)]
        state = {
            "accuracies": np.full(total, np.nan),
            "right": np.full((len(shown), len(self._labels)), _NOT_KNOWN, np.uint8),
        }
        resumed = self._store.resume(title, state)
        self._on_progress(title, resumed, total)
        for done, lesion in enumerate(plan.lesions[resumed:], resumed + 1):
            right = model.right_answers(
                self._images, self._labels, lesion.silenced, lesion.swapped, config.batch_size
            )
            state["accuracies"][done - 1] = np.mean(right)
            if done <= len(shown):
                state["right"][done - 1] = right
            self._store.checkpoint(title, state, done)
            self._on_progress(title, done, total)
        unable = [block for block in model.blocks if block not in model.silenceable]
        arrays = plan.results(state["accuracies"]).to_arrays() | {"cannot_be_silenced": np.array(unable, str)}
        if (state["right"] != _NOT_KNOWN).all():  # an earlier version, which may have begun, did not keep it
            arrays["right"] = state["right"]
        self._store.commit(title, {f"lesions/{label}": arrays})

    def lesion_differences(self):
        """The `LesionDifference` of each two networks with blocks to silence, over the images."""
        found = {label: self._store[f"lesions/{label}"].get("right", ()) for label in self._with_blocks}
        return comparisons.lesion_differences(
            {label: right for label, right in found.items() if len(right) > 1}
        )


# In place of 0 and 1 where an answer was not looked at.
_NOT_KNOWN = 2


def _cka_piece(pair):
    return "/".join(("cka", *pair))
