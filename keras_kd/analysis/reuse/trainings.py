"""How like its trained residual twin a network was at the snapshots of its training, by CKA."""

import numpy as np
from keras import ops

from keras_kd.analysis.reuse import features, similarity
from keras_kd.models import blocks, fading, graph, weights
from keras_kd.utils import backend


def twin_of(network, networks):
    """Label of the first residual network that has the weights of `network`, by name and shape, or None.

    It may have more: projections on its shortcuts.
    """
    wanted = _shapes(network)
    for label, other in networks.items():
        has_shortcuts = any(block.add for block in blocks.blocks_of(other))
        if has_shortcuts and wanted <= _shapes(other):
            return label
    return None


def _shapes(network):
    return {(weight.path, tuple(weight.shape)) for weight in network.weights}


def cka_of_snapshots(training, left, twin, images, batch_size, on_progress):
    """CKA of a network with its trained twin at each snapshot, a mean over what stem and blocks hand on.

    Args:
      training: a `trainings.Training`.
      left: the network without shortcuts that is left of it.
      twin: a network with the same blocks.
      images: normalised.
      batch_size: images at a time.
      on_progress: `on_progress(batches done, all)`.

    Returns:
      `{"cka": [snapshots], "cka_without_shortcuts": [snapshots]}`, float64: of the network as it was, and of
      what would have been left of it, BatchNorm's statistics being those of the snapshot in both. The second
      is there only where the two differ.
    """
    readers = {"cka": (training.network, [training.point(epochs) for epochs in training.snapshots])}
    if training.fades:
        readers["cka_without_shortcuts"] = (left, list(training.snapshots.values()))
    layers = blocks.layers_of(twin)
    measures = {
        name: [similarity.CKA(layers, layers) for _ in points] for name, (_, points) in readers.items()
    }
    ask_twin, trained = _answers(twin), weights.weights_of(twin)
    ask = {name: _answers(network) for name, (network, _) in readers.items()}
    batches = features.batches(images, batch_size)
    on_progress(0, len(batches))
    for done, batch in enumerate(batches, 1):
        wanted = ask_twin(trained, batch)
        for name, (_, points) in readers.items():
            for measure, point in zip(measures[name], points, strict=True):
                measure.add(wanted, ask[name](point, batch))
        on_progress(done, len(batches))
    return {name: np.array([_mean(each) for each in found]) for name, found in measures.items()}


def _mean(measure):
    return np.mean(np.diagonal(measure.result()))


def _answers(network):
    """Compiled: from a point and images to the `similarity.centred_grams` of what stem and blocks hand on."""
    layers = _handed_on(network)
    taps = graph.feature_extractor(network, layers)
    variables = (taps.trainable_variables, taps.non_trainable_variables)
    forward = backend.compile_function(
        lambda state, images: taps.stateless_call(*state, images, training=False)[0]
    )

    def ask(point, images):
        state = [
            [ops.convert_to_tensor(point.get(each.path, each), each.dtype) for each in part]
            for part in variables
        ]
        found = forward(state, ops.convert_to_tensor(images))
        return similarity.centred_grams({name: features.to_host(found[name]) for name in layers}, layers)

    return ask


def _handed_on(network):
    """As `blocks.layers_of`; behind the shortcut that fades where no ReLU comes after it."""
    shortcuts = {gate.name for gate in fading.fading_shortcuts(network)}
    behind = {
        block.last: f"{block.name}_fade"
        for block in blocks.blocks_of(network)
        if not block.activated and f"{block.name}_fade" in shortcuts
    }
    return [behind.get(layer, layer) for layer in blocks.layers_of(network)]
