"""The cost card: what networks cost, counted from their graphs and measured in three runtimes."""

import contextlib
import functools
import importlib.metadata
import itertools
import os
import pathlib
import platform
import re
import shlex
import sys
import tempfile

import keras
import numpy as np
from absl import flags

import keras_kd
from experiments import console, layout, shipping
from keras_kd import cost_pictures, costs, folding, latency, litert, onnx_file, pages, serving, storage, taps

BATCHES = flags.DEFINE_list("batches", ["1", "32"], "Images at a time, whose latency is measured.")
flags.register_validator(
    "batches",
    lambda sizes: sizes and all(size.isdigit() and int(size) for size in sizes),
    "--batches takes whole numbers from 1, with commas between them",
)
CALLS = flags.DEFINE_integer("calls", 50, "Timed calls of each, fewer if they are slow.", lower_bound=5)
THREADS = flags.DEFINE_integer("threads", 1, "Of each runtime.", lower_bound=1)

_NAME = re.compile(r"(resnet|plain)(\d+)")

# Image sizes and classes under which the papers count.
_SMALL, _LARGE = ((32, 32, 3), 10), ((224, 224, 3), 1000)


# --------------------------------------------------------------------------- which networks


def compare_names(names, out):
    """The card of untrained networks by their names, such as "resnet20" and "plain20", in a folder."""
    networks = {name: _network(name) for name in names}
    depths = dict.fromkeys(_NAME.fullmatch(name)[2] for name in names)
    groups = [[name for name in names if _NAME.fullmatch(name)[2] == depth] for depth in depths]
    console.print_paths(**_compare(networks, groups, out / "costs", None, {}))


def _network(name):
    """One of `imagenet_resnet`'s depths is for 224x224 images, all others are for 32x32."""
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(f"--networks takes names such as resnet20 and plain50. Received: {name!r}")
    depth, shortcuts = int(match[2]), match[1] == "resnet"
    large = depth in (18, 34, 50, 101, 152)
    build, (shape, classes) = (keras_kd.imagenet_resnet, _LARGE) if large else (keras_kd.cifar_resnet, _SMALL)
    return build(depth, shape, classes, shortcuts=shortcuts)


def compare_twins(source, target):
    """The card of a run's network beside its twin and its teacher.

    Args:
      source: a `shipping.Source`.
      target: folder of its exported files.

    Returns:
      `{name: path}` of what was written.
    """
    twin = _twin(source)
    kind = None if twin is None else "residual twin" if _has_shortcuts(twin) else "plain twin"
    compared = {source.path.stem: (source.network, source.path.name)}
    teacher_file = layout.NETWORKS["teacher"]
    beside = source.path.parent / teacher_file
    if beside.is_file() and source.path.name != teacher_file:
        teacher = storage.load_model(beside)
        is_twin = twin is not None and _same_graph(teacher, twin)
        compared[f"teacher ({kind})" if is_twin else "teacher"] = (teacher, teacher_file)
        twin = None if is_twin else twin
    if twin is not None:
        compared[kind] = (twin, None)
    networks = {label: network for label, (network, _) in compared.items()}
    accuracies = {label: shipping.accuracy(source.result, file) for label, (_, file) in compared.items()}
    return _compare(networks, [list(networks)], target, source.dataset, accuracies)


def _twin(source):
    """The same network with or without shortcuts, with the same weights; None if that is not known."""
    network = source.network
    depth, width = _size(source)
    if depth is None:
        return None
    shape, classes = source.dataset.image_shape, source.dataset.num_classes
    twin = keras_kd.cifar_resnet(depth, shape, classes, width=width, shortcuts=not _has_shortcuts(network))
    try:
        taps.copy_weights(network, twin)
    except ValueError:  # it is no network of that size
        return None
    return twin


def _size(source):
    """Depth and width of a network of a run, as its flags say; `(None, None)` if they do not."""
    lines = (source.path.parent / "flags.cfg").read_text(encoding="utf-8").splitlines()
    given = dict(line.removeprefix("--").split("=", 1) for line in lines if "=" in line)
    role = {layout.NETWORKS["teacher"]: "teacher_", layout.MODEL: ""}.get(source.path.name, "student_")
    if f"{role}depth" not in given or (given.get("teacher") and role == "teacher_"):
        return None, None
    return int(given[f"{role}depth"]), int(given[f"{role}width"])


def _has_shortcuts(network):
    return any(isinstance(layer, keras.layers.Add) for layer in network.layers)


def _same_graph(one, other):
    return [moment.name for moment in costs.cost(one).moments] == [
        moment.name for moment in costs.cost(other).moments
    ] and costs.parameters(one) == costs.parameters(other)


# --------------------------------------------------------------------------- what they cost


def _compare(networks, groups, folder, dataset, accuracies):
    """Counts, measures, prints and writes; returns the paths."""
    described = [
        cost_pictures.describe(label, costs.cost(network)) | {"accuracy": accuracies.get(label)}
        for label, network in networks.items()
    ]
    with tempfile.TemporaryDirectory() as place:
        for about in described:
            about |= _convert(about["label"], networks[about["label"]], dataset, pathlib.Path(place))
        _time(described, networks, dataset)
    found = {
        "command": shlex.join(["python", "-m", "experiments.export", *sys.argv[1:]]),
        "threads": THREADS.value,
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("tensorflow", "keras", "ai-edge-litert", "onnxruntime", "tf2onnx")
        },
        "networks": described,
    }
    found = storage.plain_values(found)
    storage.write_json(found, folder / "costs.json")
    _write_page(found, groups, folder / "costs.html")
    for start in range(0, len(networks), _PER_TABLE):
        _print(found["networks"][start : start + _PER_TABLE])
    return {"costs": folder / "costs.html", "numbers": folder / "costs.json"}


# As many as fit side by side on a screen.
_PER_TABLE = 4


def _print(networks):
    columns, rows = cost_pictures.rows(networks)
    title = f"What it costs, one image; {THREADS.value} thread(s)"
    console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)


def _convert(label, network, dataset, folder):
    """Writes a network in three formats; LiteRT's arena, sizes of files, and what runs them."""
    console.STOP.check("no costs written")
    print(f"{label}: converting", flush=True)
    network = folding.fold_batch_norm(serving.float32_copy(network))
    paths = {name: folder / f"{label} {name}" for name in ("TensorFlow", "LiteRT", "ONNX Runtime")}
    serving.write_graph(network, paths["TensorFlow"], dataset)
    litert.convert(network, paths["LiteRT"], dataset=dataset)
    onnx_file.convert(network, paths["ONNX Runtime"], dataset=dataset)
    return {
        "arena": litert.arena(paths["LiteRT"]),
        "files": {
            "SavedModel": shipping.size_of_saved_model(paths["TensorFlow"]),
            "LiteRT": paths["LiteRT"].stat().st_size,
            "ONNX": paths["ONNX Runtime"].stat().st_size,
        },
        "sessions": {
            "TensorFlow": _saved_model(paths["TensorFlow"]),
            "LiteRT": litert.session(paths["LiteRT"], THREADS.value),
            "ONNX Runtime": onnx_file.session(paths["ONNX Runtime"], THREADS.value),
        },
    }


def _time(described, networks, dataset):
    """Puts latencies in the place of sessions: networks take turns, for each runtime and batch."""
    random = np.random.default_rng(0)
    sessions = {about["label"]: about.pop("sessions") for about in described}
    for about in described:
        about["latency"] = {runtime: {} for runtime in sessions[about["label"]]}
    for runtime, batch in itertools.product(described[0]["latency"], BATCHES.value):
        console.STOP.check("no costs written")
        print(f"{runtime}: timing batches of {batch}", flush=True)
        calls = {}
        for label, network in networks.items():
            shape = dataset.image_shape if dataset else network.input_shape[1:]
            images = random.integers(0, 256, (int(batch), *shape), dtype=np.uint8)
            calls[label] = functools.partial(sessions[label][runtime], images)
        found = latency.measure(calls, calls=CALLS.value)
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


def _processor():
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _write_page(found, groups, path):
    networks = {network["label"]: network for network in found["networks"]}
    machine = found["machine"]
    pages.write(
        "view.html",
        path,
        title="What it costs to run",
        lead=f"{', '.join(networks)}: counted and measured.",
        sections=cost_pictures.sections([[networks[label] for label in group] for group in groups]),
        command=found["command"],
        facts={
            "machine": f"{machine['processor']}, {machine['cores']} cores, {found['threads']} thread(s) used",
            "versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
        },
    )
