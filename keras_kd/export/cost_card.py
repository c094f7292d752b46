"""The cost card: what networks cost, counted from their graphs and measured in three runtimes."""

import dataclasses
import functools
import itertools
import pathlib
import tempfile

import numpy as np

from keras_kd.export import (
    cost_networks,
    cost_report,
    cost_sentence,
    formats,
    latency,
    litert,
    model_card,
    signature,
    twins,
)
from keras_kd.export.cost_results import CostCard, NetworkCost
from keras_kd.export.onnx import session, to_onnx
from keras_kd.models import cost, folding, weights
from keras_kd.reporting import html
from keras_kd.utils import environment, files, folders, limits, progress


@dataclasses.dataclass(frozen=True)
class CostConfig:
    """How costs are measured.

    Attributes:
      batches: images at a time, whose latency is measured.
      calls: timed calls of each, fewer if they are slow.
      threads: of each runtime.
      fold: whether BatchNorm is folded.
      latency: whether networks are converted and timed, and not counted alone.
    """

    batches: tuple = (1, 32)
    calls: int = 50
    threads: int = 1
    fold: bool = True
    latency: bool = True

    def __post_init__(self):
        limits.check_each_once("batches", self.batches)
        for batch in self.batches:
            limits.IMAGES_AT_A_TIME.check("batches", batch)
        limits.CALLS.check("calls", self.calls)
        limits.THREADS.check("threads", self.threads)


PATIENCE = 600.0  # seconds for another process that writes to the folder: what is measured is not lost


# --------------------------------------------------------------------------- which networks


def compare_names(names, folder, config, command, check_stop=lambda done: None):
    """The card of untrained networks by their names.

    Args:
      names: such as "resnet20" and "plain20", or specs as for `registry.build`, with "-unfolded" behind those
        that keep their BatchNorm.
      folder: that gets the card.
      config: a `CostConfig`.
      command: what was typed, for the page.
      check_stop: is called between measurements; what it raises ends them.

    Returns:
      `(card, paths)`: the `cost_results.CostCard`, and `{name: path}` of what was written.
    """
    return _compare(cost_networks.named(names, config.fold), folder, config, command, check_stop)


def compare_with_twins(names, folder, config, command, check_stop=lambda done: None):
    """The same of networks by text or file, each beside its twin; see `cost_networks.with_twins`."""
    return _compare(cost_networks.with_twins(names, config.fold), folder, config, command, check_stop)


def compare_twins(source, target, config, command, check_stop=lambda done: None):
    """The card of a run's network beside its twin and its teacher.

    Args:
      source: a `sources.Source`.
      target: folder of its exported files.
      config, command, check_stop: as for `compare_names`.

    Returns:
      As `compare_names`.
    """
    networks = twins.with_twin(source, config.fold)
    listed = cost_networks.Listed(networks, [list(networks)], cost_networks.pairs_of(list(networks)))
    return _compare(listed, target, config, command, check_stop, source)


# --------------------------------------------------------------------------- what they cost


def _compare(listed, folder, config, command, check_stop, source=None):
    """Counts, measures and writes; see `compare_names`."""
    costs = {
        label: NetworkCost.counted(label, cost.cost(each.network), each.accuracy, each.test_images)
        for label, each in listed.networks.items()
    }
    highest = max(each.peak["float32"] for each in costs.values())
    limits.check_memory(f"a batch of {max(config.batches)} images", max(config.batches) * highest)
    if config.latency:
        costs = _measured(costs, listed.networks, source and source.dataset, config, check_stop)
    card = CostCard(
        command=command,
        threads=config.threads,
        machine=environment.machine(),
        versions=environment.versions("tensorflow", "keras", "ai-edge-litert", "onnxruntime", "tf2onnx"),
        networks=tuple(costs.values()),
        digest=source and weights.digest(source.network),
        answers=tuple(cost_sentence.sentence(costs[one], costs[twin]) for one, twin in listed.pairs),
    )
    page = folder / model_card.COSTS_PAGE
    groups = [[costs[label] for label in group] for group in listed.groups]
    with folders.alone_in(folder, patience=PATIENCE):
        files.write_json(card.to_json(), folder / model_card.COSTS)
        write_page(card, groups, page)
    return card, {"costs": page, "numbers": folder / model_card.COSTS}


def _measured(costs, networks, dataset, config, check_stop):
    """`{label: NetworkCost}` with what was measured of files, memory and latency."""
    with tempfile.TemporaryDirectory() as place:
        converted = {}
        for number, (label, network) in enumerate(networks.items()):
            check_stop("no costs written")
            folder = pathlib.Path(place, str(number))  # a label may hold a path, of any characters
            converted[label] = _convert(label, network, dataset, folder, config.threads)
        latencies = _time(converted, networks, dataset, config, check_stop)
    return {
        label: dataclasses.replace(
            each, arena=converted[label].arena, files=converted[label].files, latency=latencies[label]
        )
        for label, each in costs.items()
    }


@dataclasses.dataclass(frozen=True)
class _Converted:
    """A network in all formats.

    Attributes:
      arena: `{dtype: bytes}` that LiteRT takes.
      files: `{format: bytes}`.
      sessions: `{runtime: function from images to logits}`.
    """

    arena: dict
    files: dict
    sessions: dict


def _convert(label, compared, dataset, folder, threads):
    """Writes a network in all formats into a new folder; returns a `_Converted`."""
    progress.say(f"{label}: converting")
    network = signature.serving_network(compared.network)
    if compared.fold:
        network = folding.fold_batch_norm(network)
    folder.mkdir()
    tensorflow, lite, integers, onnx = (folder / str(number) for number in range(4))
    signature.write_graph(network, tensorflow, dataset)
    litert.to_litert(network, lite, dataset=dataset)
    images = None if dataset else _noise(_CALIBRATION, network.input_shape[1:])
    litert.to_litert(network, integers, dataset=dataset, kind="full_integer", calibration=images)
    to_onnx(network, onnx, dataset=dataset)
    return _Converted(
        arena={"float32": litert.arena(lite), "uint8": litert.arena(integers)},
        files={
            "SavedModel": formats.size_of_saved_model(tensorflow),
            "LiteRT": lite.stat().st_size,
            "LiteRT, full integer": integers.stat().st_size,
            "ONNX": onnx.stat().st_size,
        },
        sessions={
            "TensorFlow": _saved_model(tensorflow),
            "LiteRT": litert.session(lite, threads),
            "LiteRT, full integer": litert.session(integers, threads),
            "ONNX Runtime": session(onnx, threads),
        },
    )


# Random images that say what ranges feature maps have, of a network without a dataset.
_CALIBRATION = 4


def _noise(count, shape):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def _time(converted, networks, dataset, config, check_stop):
    """`{label: {runtime: {batch: Latency}}}`: networks take turns, for each runtime and batch."""
    runtimes = list(next(iter(converted.values())).sessions)
    latencies = {label: {runtime: {} for runtime in runtimes} for label in converted}
    shapes = {
        name: dataset.image_shape if dataset else each.network.input_shape[1:]
        for name, each in networks.items()
    }
    turns = len(runtimes) * len(config.batches) * len(networks) * latency.TURNS
    with progress.bar("turns") as bar:
        task = bar.add_task("timing", total=turns)
        for runtime, batch in itertools.product(runtimes, config.batches):
            check_stop("no costs written")
            progress.say(f"{runtime}: timing batches of {batch}")
            calls = {
                name: functools.partial(converted[name].sessions[runtime], _noise(batch, shape))
                for name, shape in shapes.items()
            }
            found = latency.measure(
                calls, calls=config.calls, after_turn=functools.partial(bar.advance, task)
            )
            for label, measured in found.items():
                latencies[label][runtime][str(batch)] = measured
    return latencies


def _saved_model(path):
    """A function from images to logits by TensorFlow in this process, with the threads that it has."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda images: serve(image=tf.constant(images))["logits"].numpy()


def set_threads(threads):
    """Gives TensorFlow its threads, before it runs anything.

    Raises:
      ValueError: if it has run already.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise ValueError(
            "TensorFlow has run already, so its threads cannot be set: measure costs in a process of its own"
        ) from error


def write_page(card, groups, path):
    """Writes a card as a page; the networks of each group are drawn together."""
    computer = card.machine
    html.write(
        "view.html",
        path,
        title="What it costs to run",
        answer=list(card.answers) or None,
        lead=f"{', '.join(network.label for network in card.networks)}: counted and measured.",
        sections=cost_report.sections(groups),
        command=card.command,
        facts={
            "machine": f"{computer['processor']}, {computer['cores']} cores",
            "threads of each runtime": card.threads,
            "versions": ", ".join(f"{name} {version}" for name, version in card.versions.items()),
        },
    )
