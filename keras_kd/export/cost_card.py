"""The cost card: what networks cost, counted from their graphs and measured in three runtimes."""

import dataclasses
import functools
import itertools
import pathlib
import re
import tempfile

import numpy as np

from keras_kd.export import bundle, cost_report, formats, latency, litert, signature, twins
from keras_kd.export.onnx import convert, session
from keras_kd.models import cost, folding
from keras_kd.models.resnet import cifar_resnet, imagenet_resnet
from keras_kd.reporting import html
from keras_kd.utils import environment, files, progress


@dataclasses.dataclass(frozen=True)
class CostConfig:
    """How costs are measured.

    Attributes:
      batches: images at a time, whose latency is measured.
      calls: timed calls of each, fewer if they are slow.
      threads: of each runtime.
      fold: whether BatchNorm is folded.
    """

    batches: tuple = (1, 32)
    calls: int = 50
    threads: int = 1
    fold: bool = True


_NAME = re.compile(r"(resnet|plain)(\d+)(-unfolded)?")

# Image sizes and classes under which the papers count.
_SMALL, _LARGE = ((32, 32, 3), 10), ((224, 224, 3), 1000)


# --------------------------------------------------------------------------- which networks


def compare_names(names, folder, config, command, check_stop=lambda done: None):
    """The card of untrained networks by their names, such as "resnet20" and "plain20".

    Args:
      names: of the networks.
      folder: that gets the card.
      config: a `CostConfig`.
      command: what was typed, for the page.
      check_stop: is called between measurements; what it raises ends them.

    Returns:
      `(networks, paths)`: as in `costs.json`, and `{name: path}` of what was written.
    """
    networks = {name: _network(name, config.fold) for name in names}
    depths = dict.fromkeys(_NAME.fullmatch(name)[2] for name in networks)
    groups = [[name for name in networks if _NAME.fullmatch(name)[2] == depth] for depth in depths]
    return _compare(networks, groups, folder, None, config, command, check_stop)


def _network(name, fold):
    """One of `imagenet_resnet`'s depths is for 224x224 images, all others are for 32x32; untrained."""
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(
            f"networks have names such as resnet20, plain50 and plain50-unfolded. Received: {name!r}"
        )
    depth, shortcuts = int(match[2]), match[1] == "resnet"
    large = depth in (18, 34, 50, 101, 152)
    build, (shape, classes) = (imagenet_resnet, _LARGE) if large else (cifar_resnet, _SMALL)
    return twins.Compared(build(depth, shape, classes, shortcuts=shortcuts), fold=fold and not match[3])


def compare_twins(source, target, config, command, check_stop=lambda done: None):
    """The card of a run's network beside its twin and its teacher.

    Args:
      source: a `bundle.Source`.
      target: folder of its exported files.
      config, command, check_stop: as for `compare_names`.

    Returns:
      As `compare_names`.
    """
    networks = twins.with_twin(source, config.fold)
    return _compare(networks, [list(networks)], target, source.dataset, config, command, check_stop)


# --------------------------------------------------------------------------- what they cost


def _compare(networks, groups, folder, dataset, config, command, check_stop):
    """Counts, measures and writes; see `compare_names`."""
    described = [
        cost_report.describe(label, cost.cost(each.network)) | {"accuracy": each.accuracy}
        for label, each in networks.items()
    ]
    with tempfile.TemporaryDirectory() as place:
        for about in described:
            check_stop("no costs written")
            network = networks[about["label"]]
            about |= _convert(about["label"], network, dataset, pathlib.Path(place), config.threads)
        _time(described, networks, dataset, config, check_stop)
    found = {
        "command": command,
        "threads": config.threads,
        "machine": environment.machine(),
        "versions": environment.versions("tensorflow", "keras", "ai-edge-litert", "onnxruntime", "tf2onnx"),
        "networks": described,
    }
    found = files.plain_values(found)
    files.write_json(found, folder / bundle.COSTS)
    _write_page(found, groups, folder / "costs.html")
    return found["networks"], {"costs": folder / "costs.html", "numbers": folder / bundle.COSTS}


def _convert(label, compared, dataset, folder, threads):
    """Writes a network in all formats; LiteRT's arenas, sizes of files, and what runs them."""
    print(f"{label}: converting", flush=True)
    network = signature.float32_copy(compared.network)
    if compared.fold:
        network = folding.fold_batch_norm(network)
    tensorflow, lite, integers, onnx = (folder / f"{label} {number}" for number in range(4))
    signature.write_graph(network, tensorflow, dataset)
    litert.convert(network, lite, dataset=dataset)
    images = None if dataset else _noise(_CALIBRATION, network.input_shape[1:])
    litert.convert(network, integers, dataset=dataset, kind="full_integer", calibration=images)
    convert(network, onnx, dataset=dataset)
    return {
        "arena": {"float32": litert.arena(lite), "uint8": litert.arena(integers)},
        "files": {
            "SavedModel": formats.size_of_saved_model(tensorflow),
            "LiteRT": lite.stat().st_size,
            "LiteRT, full integer": integers.stat().st_size,
            "ONNX": onnx.stat().st_size,
        },
        "sessions": {
            "TensorFlow": _saved_model(tensorflow),
            "LiteRT": litert.session(lite, threads),
            "LiteRT, full integer": litert.session(integers, threads),
            "ONNX Runtime": session(onnx, threads),
        },
    }


# Random images that say what ranges feature maps have, of a network without a dataset.
_CALIBRATION = 4


def _noise(count, shape):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def _time(described, networks, dataset, config, check_stop):
    """Puts latencies in the place of sessions: networks take turns, for each runtime and batch."""
    sessions = {about["label"]: about.pop("sessions") for about in described}
    runtimes = list(sessions[described[0]["label"]])
    for about in described:
        about["latency"] = {runtime: {} for runtime in runtimes}
    shapes = {
        name: dataset.image_shape if dataset else each.network.input_shape[1:]
        for name, each in networks.items()
    }
    turns = len(runtimes) * len(config.batches) * len(networks) * latency.TURNS
    with progress.bar("turns") as bar:
        task = bar.add_task("timing", total=turns)
        for runtime, batch in itertools.product(runtimes, config.batches):
            check_stop("no costs written")
            print(f"{runtime}: timing batches of {batch}", flush=True)
            calls = {
                name: functools.partial(sessions[name][runtime], _noise(batch, shape))
                for name, shape in shapes.items()
            }
            found = latency.measure(
                calls, calls=config.calls, after_turn=functools.partial(bar.advance, task)
            )
            for about in described:
                about["latency"][runtime][str(batch)] = vars(found[about["label"]])


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


def _write_page(found, groups, path):
    networks = {network["label"]: network for network in found["networks"]}
    computer = found["machine"]
    html.write(
        "view.html",
        path,
        title="What it costs to run",
        lead=f"{', '.join(networks)}: counted and measured.",
        sections=cost_report.sections([[networks[label] for label in group] for group in groups]),
        command=found["command"],
        facts={
            "machine": f"{computer['processor']}, {computer['cores']} cores",
            "threads of each runtime": found["threads"],
            "versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        },
    )
