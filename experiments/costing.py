"""The cost card: what networks cost, counted from their graphs and measured in three runtimes."""

import functools
import itertools
import pathlib
import re
import shlex
import sys
import tempfile

import numpy as np
from absl import flags

import keras_kd
from experiments import console, machine, shipping, twins
from keras_kd.export import cost_report, latency, litert, signature
from keras_kd.export.onnx import convert, session
from keras_kd.models import cost, folding
from keras_kd.reporting import html
from keras_kd.utils import files, progress

BATCHES = flags.DEFINE_list("batches", ["1", "32"], "Images at a time, whose latency is measured.")
flags.register_validator(
    "batches",
    lambda sizes: sizes and all(size.isdigit() and int(size) for size in sizes),
    "--batches takes whole numbers from 1, with commas between them",
)
CALLS = flags.DEFINE_integer("calls", 50, "Timed calls of each, fewer if they are slow.", lower_bound=5)
THREADS = flags.DEFINE_integer("threads", 1, "Of each runtime.", lower_bound=1)

_NAME = re.compile(r"(resnet|plain)(\d+)(-unfolded)?")

# Image sizes and classes under which the papers count.
_SMALL, _LARGE = ((32, 32, 3), 10), ((224, 224, 3), 1000)


# --------------------------------------------------------------------------- which networks


def compare_names(names, out, fold):
    """The card of untrained networks by their names, such as "resnet20" and "plain20", in a folder."""
    networks = {name: _network(name, fold) for name in names}
    depths = dict.fromkeys(_NAME.fullmatch(name)[2] for name in networks)
    groups = [[name for name in networks if _NAME.fullmatch(name)[2] == depth] for depth in depths]
    console.print_paths(**_compare(networks, groups, out / "costs", None))


def _network(name, fold):
    """One of `imagenet_resnet`'s depths is for 224x224 images, all others are for 32x32; untrained."""
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(
            f"--networks takes names such as resnet20, plain50 and plain50-unfolded. Received: {name!r}"
        )
    depth, shortcuts = int(match[2]), match[1] == "resnet"
    large = depth in (18, 34, 50, 101, 152)
    build, (shape, classes) = (keras_kd.imagenet_resnet, _LARGE) if large else (keras_kd.cifar_resnet, _SMALL)
    return twins.Compared(build(depth, shape, classes, shortcuts=shortcuts), fold=fold and not match[3])


def compare_twins(source, target, fold):
    """The card of a run's network beside its twin and its teacher.

    Args:
      source: a `shipping.Source`.
      target: folder of its exported files.
      fold: whether BatchNorm is folded.

    Returns:
      `{name: path}` of what was written.
    """
    networks = twins.with_twin(source, fold)
    return _compare(networks, [list(networks)], target, source.dataset)


# --------------------------------------------------------------------------- what they cost


def _compare(networks, groups, folder, dataset):
    """Counts, measures, prints and writes; returns the paths."""
    described = [
        cost_report.describe(label, cost.cost(each.network)) | {"accuracy": each.accuracy}
        for label, each in networks.items()
    ]
    with tempfile.TemporaryDirectory() as place:
        for about in described:
            about |= _convert(about["label"], networks[about["label"]], dataset, pathlib.Path(place))
        _time(described, networks, dataset)
    found = {
        "command": shlex.join(["python", "-m", "experiments.export", *sys.argv[1:]]),
        "threads": THREADS.value,
        "machine": machine.describe(),
        "versions": machine.versions("tensorflow", "keras", "ai-edge-litert", "onnxruntime", "tf2onnx"),
        "networks": described,
    }
    found = files.plain_values(found)
    files.write_json(found, folder / shipping.COSTS)
    _write_page(found, groups, folder / "costs.html")
    for start in range(0, len(networks), _PER_TABLE):
        _print(found["networks"][start : start + _PER_TABLE])
    return {"costs": folder / "costs.html", "numbers": folder / shipping.COSTS}


# As many as fit side by side on a screen.
_PER_TABLE = 4


def _print(networks):
    columns, rows = cost_report.rows(networks)
    title = f"What it costs, one image; {THREADS.value} thread(s)"
    console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)


def _convert(label, compared, dataset, folder):
    """Writes a network in all formats; LiteRT's arenas, sizes of files, and what runs them."""
    console.STOP.check("no costs written")
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
            "SavedModel": shipping.size_of_saved_model(tensorflow),
            "LiteRT": lite.stat().st_size,
            "LiteRT, full integer": integers.stat().st_size,
            "ONNX": onnx.stat().st_size,
        },
        "sessions": {
            "TensorFlow": _saved_model(tensorflow),
            "LiteRT": litert.session(lite, THREADS.value),
            "LiteRT, full integer": litert.session(integers, THREADS.value),
            "ONNX Runtime": session(onnx, THREADS.value),
        },
    }


# Random images that say what ranges feature maps have, of a network without a dataset.
_CALIBRATION = 4


def _noise(count, shape):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def _time(described, networks, dataset):
    """Puts latencies in the place of sessions: networks take turns, for each runtime and batch."""
    sessions = {about["label"]: about.pop("sessions") for about in described}
    runtimes = list(sessions[described[0]["label"]])
    for about in described:
        about["latency"] = {runtime: {} for runtime in runtimes}
    shapes = {
        name: dataset.image_shape if dataset else each.network.input_shape[1:]
        for name, each in networks.items()
    }
    turns = len(runtimes) * len(BATCHES.value) * len(networks) * latency.TURNS
    with progress.bar("turns") as bar:
        task = bar.add_task("timing", total=turns)
        for runtime, batch in itertools.product(runtimes, BATCHES.value):
            console.STOP.check("no costs written")
            print(f"{runtime}: timing batches of {batch}", flush=True)
            calls = {
                name: functools.partial(sessions[name][runtime], _noise(int(batch), shape))
                for name, shape in shapes.items()
            }
            found = latency.measure(calls, calls=CALLS.value, after_turn=functools.partial(bar.advance, task))
            for about in described:
                about["latency"][runtime][batch] = vars(found[about["label"]])


def _saved_model(path):
    """A function from images to logits by TensorFlow in this process, with the threads that it has."""
    import tensorflow as tf

    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda images: serve(image=tf.constant(images))["logits"].numpy()


def set_threads():
    """Gives TensorFlow its threads, before it runs anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS.value)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS.value)


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
