"""Flags of a network that is written as files, or was trained elsewhere."""

import re

from absl import flags as absl_flags

from keras_kd.cli import flags
from keras_kd.training import config
from keras_kd.utils import limits, optional

# Of `export.litert`, which imports Keras.
LITERT_KINDS = ("float32", "float16", "dynamic_range", "full_integer")


# Of a network that was trained elsewhere.
GIVEN = ("images", "preprocessing", "class_map")


def define_given(values):
    """What is known of a network that was trained elsewhere."""
    given = flags.Group(values, "a network that was trained elsewhere")
    words = "Labelled images of its classes: a folder, .npz or a dataset's name."
    given.text("images", None, words)
    words = "How it wants its pixels; auto, if not given, measures it on these images."
    given.choice("preprocessing", None, config.TEACHER_PREPROCESSINGS, words)
    words = "File of its output for each class, where it has more: .json, .csv or .txt."
    given.text("class_map", None, words)


def check_given(values):
    """Raises a ValueError for what says how images are asked about, without them."""
    for name in ("preprocessing", "class_map"):
        if values[name].value is not None and not values.images:
            raise ValueError(f"--{name} is of a network that was trained elsewhere: give --images, too")


def define(values):
    """Which network is written as which files, and what it is compared with."""
    common = flags.Group(values, flags.COMMON)
    common.text("model", None, "The .keras file of a run of distill or train, or any with --images.")
    common.text("out", None, "Folder that gets a folder for the network; in its run's if not given.")
    common.switch("cost", False, "Say what the network costs, beside its twin and teacher.")
    common.texts("networks", [], "With --cost, in place of --model: resnet20, plain50-unfolded, ...")
    common.text("dataset", None, "Where the run's dataset is, if it has moved.")
    common.text("data_dir", None, "Where tensorflow-datasets keeps its data.")
    define_given(values)
    exported = flags.Group(values, "files")
    exported.texts("formats", ["saved_model", "litert", "onnx"], "Which are written.")
    exported.texts("litert", list(LITERT_KINDS), "Kinds of LiteRT files.")
    exported.integer("batch", 0, "Images at a time; 0: any number.", limits.EXPORTED_BATCH)
    exported.switch("fold", True, "Make BatchNorm a part of the convolutions.")
    words = "Test images on which files are compared; all, or as many as are quick, if not given."
    exported.integer("test_images", None, words, limits.IMAGES)
    exported.number(
        "tolerance", 1e-4, "Largest difference of logits of float32 files, as a share.", limits.SHARE
    )
    exported.number(
        "same_class", 0.95, "Share of images with the same class, of quantised files.", limits.SHARE
    )
    define_costs(values)


def define_costs(values):
    """How costs are measured."""
    costs = flags.Group(values, "costs")
    costs.texts("batches", ["1", "32"], "Images at a time, whose latency is measured.")
    costs.integer("calls", 50, "Timed calls of each, fewer if they are slow.", limits.CALLS)
    costs.integer("threads", 1, "Of each runtime.", limits.THREADS)
    absl_flags.register_validator(
        "batches",
        lambda sizes: bool(sizes) and all(re.fullmatch("[0-9]{1,9}", size) and int(size) for size in sizes),
        "takes whole numbers from 1, with commas between them",
        flag_values=values,
    )


# What writes and runs a format, by the extra that installs it.
_RUNTIMES = {"litert": ("ai_edge_litert.interpreter",), "onnx": ("tf2onnx", "onnxruntime")}


def require_runtimes(formats):
    """Raises a `MissingPackageError` if a package lacks that writes or runs one of the formats."""
    for name in formats:
        for module in _RUNTIMES.get(name, ()):
            optional.require(module, name)
