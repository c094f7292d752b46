"""Writes a trained network as files that run elsewhere, each checked by its own runtime; says what it costs.

    python -m experiments.export --model=runs/distill-digits/student.keras --cost

writes a SavedModel, LiteRT and ONNX files and a model card to `saved_models/distill-digits/`; `--cost` also
compares the network with its twin and its teacher. Names alone, without a file, are compared by

    python -m experiments.export --cost --networks=resnet20,plain20,resnet50,plain50
"""

import contextlib
import json
import pathlib
import shutil
import time

from absl import flags

from experiments import console, costing, origin, shipping
from keras_kd.models import serialization, weights
from keras_kd.utils import backend, optional
from keras_kd.utils.files import replace_folder

MODEL = flags.DEFINE_string("model", None, "The .keras file of a run of distill or train.")
FORMATS = flags.DEFINE_list("formats", list(shipping.FORMATS), "Among saved_model, litert, onnx.")
LITERT = flags.DEFINE_list("litert", list(shipping.KINDS), "Kinds of LiteRT files.")
BATCH = flags.DEFINE_integer("batch", 0, "Images at a time; 0: any number.", lower_bound=0)
FOLD = flags.DEFINE_bool("fold", True, "Whether BatchNorm becomes a part of the convolutions.")
IMAGES = flags.DEFINE_integer("images", 300, "Test images on which files are compared.", lower_bound=1)
TOLERANCE = flags.DEFINE_float(
    "tolerance",
    1e-4,
    "Largest difference of logits of float32 files, as a share of the largest.",
    lower_bound=0.0,
)
SAME_CLASS = flags.DEFINE_float(
    "same_class", 0.95, "Share of images of which quantised files must say the same class.", 0.0, 1.0
)
OUT = flags.DEFINE_string("out", "saved_models", "Folder that gets a folder for each network.")
DATASET = flags.DEFINE_string("dataset", None, "Where the run's dataset is, if it has moved.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where tensorflow-datasets keeps its data.")
COST = flags.DEFINE_bool("cost", False, "Whether to say what the network costs, beside its twin and teacher.")
NETWORKS = flags.DEFINE_list(
    "networks", [], "With --cost, in place of --model: resnet20, plain50-unfolded, ..."
)

_RUNTIMES = {"litert": ("ai_edge_litert.interpreter",), "onnx": ("tf2onnx", "onnxruntime")}


def main():
    check()
    _use_cpu()
    if COST.value:
        costing.set_threads()
    if NETWORKS.value:
        costing.compare_names(NETWORKS.value, pathlib.Path(OUT.value), FOLD.value)
        return
    source = find(pathlib.Path(MODEL.value))
    target = pathlib.Path(OUT.value) / source.name
    shipping.check_target(target)
    files = ship(source, target)
    print_files(files)
    costs = {}
    if COST.value:
        costs = costing.compare_twins(source, target, FOLD.value)
        shipping.write_card(source, target)
    console.print_paths(folder=target, card=target / shipping.CARD, **costs)


def check():
    """Raises an error for flags that do not go together, or a package that is missing."""
    if not backend.on_tensorflow():
        raise ValueError("files are written with the TensorFlow backend: give it without KERAS_BACKEND")
    if bool(MODEL.value) == bool(NETWORKS.value):
        raise ValueError("give --model=FILE.keras, or --cost with --networks=resnet20,plain20")
    if NETWORKS.value and not COST.value:
        raise ValueError("--networks are compared with --cost: add it")
    for name, given, known in (("formats", FORMATS, shipping.FORMATS), ("litert", LITERT, shipping.KINDS)):
        unknown = [each for each in given.value if each not in known]
        if unknown or not given.value:
            raise ValueError(
                f"--{name} takes {', '.join(known)}. Received: {', '.join(unknown) or 'nothing'}"
            )
    for name in _RUNTIMES if COST.value else FORMATS.value:
        for module in _RUNTIMES.get(name, ()):
            optional.require(module, name)


def _use_cpu():
    """Hides GPUs: the other runtimes have none, and a GPU's float32 may be TF32."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def find(path):
    """The `shipping.Source` of a .keras file in the folder of a run."""
    network = serialization.load_model(path)
    result_path = path.parent / "result.json"
    result = json.loads(result_path.read_text(encoding="utf-8")) if result_path.is_file() else {}
    if "dataset" not in result:
        raise ValueError(
            f"{path.parent} holds no finished run of distill or train, whose data tell how images are "
            f"normalised: give the .keras file of one; in Python, keras_kd.export takes any network"
        )
    dataset = origin.load_dataset(path.parent, result, result["seed"], DATASET.value, DATA_DIR.value)
    return shipping.Source(path, shipping.name_of(path), network, dataset, result)


def ship(source, target):
    """Writes and checks every file, and then puts all in the place of what was there; returns the files."""
    about = {"model": str(source.path), "digest": weights.digest(source.network)}
    part = target.with_name(f".part-{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, part, ignore_errors=True)
        kept = shipping.begin(target, part, about["digest"])
        files = []
        for job in shipping.jobs(FORMATS.value, LITERT.value, target):
            console.STOP.check(f"{target} left as it was")
            began = time.monotonic()
            found = shipping.write(
                job,
                source,
                part,
                batch=BATCH.value or None,
                fold=FOLD.value,
                count=IMAGES.value,
                tolerance=TOLERANCE.value,
            )
            shipping.check(found, tolerance=TOLERANCE.value, same_class=SAME_CLASS.value)
            print(f"{found['file']}: written and compared in {time.monotonic() - began:.0f} s", flush=True)
            files.append(found)
        written = {each["file"] for each in files}
        files += [each for each in kept if each["file"] not in written]
        files.sort(
            key=lambda each: (shipping.FORMATS.index(each["format"]), shipping.KINDS.index(each["kind"]))
        )
        shipping.describe(source, part, about | {"files": files})
        replace_folder(part, target)
    return files


def print_files(files):
    """The table of what was written."""
    rows = [
        {
            "file": each["file"],
            "kind": each["kind"],
            "images": str(each["images"]),
            "MB": f"{each['bytes'] / 1e6:.2f}",
            "logits differ by": f"{each['max_logit_difference']:.1e}",
            "same class": console.percent(each["same_class"]),
            "accuracy": console.percent(each["accuracy"]),
        }
        for each in files
    ]
    console.print_table("Compared on test images, each by its own runtime", rows, list(rows[0]))


if __name__ == "__main__":
    console.run(main)
