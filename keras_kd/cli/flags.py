"""Flags that commands share, each defined on a `FlagValues` of the command's own, and what they ask for.

A command's `define_flags(values)` calls some of these; no flag is global, so that any number of commands
can run in one process.
"""

import dataclasses
import math
import pathlib

from absl import flags

from keras_kd.search import config as search_config
from keras_kd.training import config

# Flags of earlier versions, and what they are called now.
RENAMED = {
    "mentor_epochs": "alpha_epochs",
    "depth": "student_depth",
    "width": "student_width",
    "shortcuts": "student_shortcuts",
}

# Flags that earlier versions did not have, and the one that said it then.
IMPLIED = {"split_seed": "seed"}

# They say where a run is and how it is started, not what it is.
NOT_OF_THE_RUN = ("out", "overwrite", "debug", "flagfile", "saved_models")


COMMON = "common"  # title of the first group


class Group:
    """Defines flags under one title of `--help`.

    Args:
      values: an `absl.flags.FlagValues`.
      title: of the group.
    """

    def __init__(self, values, title):
        self._options = {"flag_values": values, "module_name": title}

    def text(self, name, default, words):
        flags.DEFINE_string(name, default, words, **self._options)

    def integer(self, name, default, words, lowest=None):
        flags.DEFINE_integer(name, default, words, lower_bound=lowest, **self._options)

    def number(self, name, default, words, lowest=None):
        flags.DEFINE_float(name, default, words, lower_bound=lowest, **self._options)

    def switch(self, name, default, words):
        flags.DEFINE_bool(name, default, words, **self._options)

    def choice(self, name, default, choices, words):
        flags.DEFINE_enum(name, default, list(choices), words, **self._options)

    def texts(self, name, default, words):
        flags.DEFINE_list(name, default, words, **self._options)


def define_run(values, default_out):
    """Where a run is kept.

    Args:
      values: an `absl.flags.FlagValues`.
      default_out: the folder if --out is not given, in words.
    """
    common = Group(values, COMMON)
    common.text("out", None, f"Folder of the run; {default_out} if not given.")
    common.switch("overwrite", False, "Delete a run that is there already.")


def define_data(values):
    """Which images."""
    Group(values, COMMON).text(
        "dataset",
        "digits",
        "'digits', a tensorflow-datasets name such as cifar10, or a path to .npz.",
    )
    data = Group(values, "data")
    data.text("data_dir", None, "Where tensorflow-datasets keeps its data.")
    data.number("validation_fraction", 0.1, "Share of train set aside.")
    data.integer("split_seed", 0, "Which part of train; the same for runs that are compared.", lowest=0)


def define_settings(values):
    """How networks are trained: a flag for each field of `training.Settings`."""
    usual = config.Settings()
    common = Group(values, COMMON)
    common.integer("epochs", usual.epochs, "Passes over the training split, per network.")
    common.integer("batch_size", usual.batch_size, "Examples a step, over all replicas.")
    common.number("learning_rate", usual.learning_rate, "Highest rate of the schedule.")
    common.integer("seed", usual.seed, "Of weights, data order, augmentation, dropout.")
    recipe = Group(values, "training")
    recipe.choice("augmentation", usual.augmentation, config.AUGMENTATIONS, "'auto' follows the dataset.")
    recipe.choice("schedule", usual.schedule, config.SCHEDULES, "Of the rate.")
    recipe.number("warmup_fraction", usual.warmup_fraction, "Share of the steps to reach the highest rate.")
    recipe.number("momentum", usual.momentum, "Of SGD, with Nesterov's acceleration.")
    recipe.number("weight_decay", usual.weight_decay, "Of kernels; never of BatchNorm and biases.")
    recipe.choice("decay", usual.decay, config.DECAYS, "L2 in the loss, or decoupled.")
    recipe.number("clip_norm", usual.clip_norm, "Largest norm of the gradient; 0: any.")
    recipe.switch("deterministic", usual.deterministic, "Give the same bits each time.")
    device = Group(values, "devices and speed")
    device.choice("strategy", usual.strategy, config.STRATEGIES, "'auto': mirrored on GPUs.")
    device.choice("precision", usual.precision, config.PRECISIONS, "Of the computation.")
    device.integer("replicas", usual.replicas, "Of 'mirrored': GPUs, or parts of the CPU; 0: all GPUs.")
    device.choice("images", usual.images, config.IMAGES, "Where images lie and are augmented.")
    device.choice("jit_compile", usual.jit_compile, list(config.JIT), "Whether XLA compiles the step.")
    device.integer(
        "steps_per_execution", usual.steps_per_execution, "Steps without Python; 0: by the machine."
    )


def define_student(values, depth=32, shortcuts="none"):
    """The network that is trained alone, or taught."""
    student = Group(values, "student")
    student.integer("student_depth", depth, "Layers: 6n+2.")
    student.integer("student_width", 16, "Channels of the first stage.")
    student.text("student_shortcuts", shortcuts, "'none', 'all', or a 0 or 1 per block as in 1,0,1.")


def define_teacher(values):
    """Who teaches, and how."""
    teacher = Group(values, "teacher and distillation")
    teacher.text("teacher", None, "A .keras file to use instead of training one.")
    teacher.integer("teacher_depth", 32, "Layers: 6n+2.")
    teacher.integer("teacher_width", 16, "Channels of the first stage.")
    teacher.number("temperature", 4.0, "Softening factor, > 0.")
    teacher.number("alpha", 0.9, "Weight of the teacher's term, in [0, 1].")
    for name, holds, words in (
        ("temperature", lambda value: 0 < value < math.inf, "a finite number > 0, such as 4.0, is needed"),
        ("alpha", lambda value: 0 <= value <= 1, "the weight of the teacher's term must lie in [0, 1]"),
    ):
        flags.register_validator(name, holds, words, flag_values=values)
    teacher.integer("alpha_epochs", 0, "Epochs after which alpha falls to 0; 0: it stays.", lowest=0)
    cache = Group(values, "cached teacher logits")
    cache.integer("teacher_views", 0, "Ask the teacher once about so many views; 0: at each step.", lowest=0)
    cache.text("teacher_logits", "runs/teacher_logits", "Where its logits are kept, for all runs.")
    cache.choice("teacher_dtype", "float16", ("float16", "float32"), "Of these logits.")
    cache.integer("teacher_top_k", 0, "Keep the k largest logits; 0: all.", lowest=0)


def define_snapshots(values):
    """How often the weights are kept on their way, for `landscape` to draw."""
    Group(values, "run").integer("snapshots", 10, "Times a network's weights are kept; 0: never.", lowest=0)
    flags.register_validator(
        "snapshots",
        lambda count: count != 1,
        "must be 0 or at least 2, the beginning and the end",
        flag_values=values,
    )


def settings_of(values):
    """The `training.Settings` that flags ask for."""
    names = [field.name for field in dataclasses.fields(config.Settings)]
    return config.Settings(**{name: values[name].value for name in names})


def given(values, name):
    """The value of a flag that was given, else None."""
    return values[name].value if values[name].present else None


def as_text(values, only_given=False):
    """`{name: text}` of the flags that make up a run.

    Args:
      values: an `absl.flags.FlagValues`.
      only_given: whether flags that were not given are left out.
    """
    found = {}
    for group in values.flags_by_module_dict().values():
        for flag in group:
            if flag.name in NOT_OF_THE_RUN or flag.value in (None, []) or (only_given and not flag.present):
                continue
            found[flag.name] = ",".join(flag.value) if isinstance(flag.value, list) else str(flag.value)
    return found


def define_saved_models(values):
    """Where an exported student goes."""
    Group(values, "run").text(
        "saved_models", None, "Export to this folder, under the run's path, and not into the run's folder."
    )


def define_retry(values):
    """For commands that train many networks, some of which may fail."""
    Group(values, COMMON).switch("retry_failed", False, "Try again what failed before.")


def given_settings(values):
    """`{name: value}` of the fields of `training.Settings` whose flags were given."""
    names = [field.name for field in dataclasses.fields(config.Settings) if values[field.name].present]
    return {name: values[name].value for name in names}


def define_search(values):
    """What is searched, by whom, and how it is judged."""
    usual = search_config.SearchConfig()
    search = Group(values, "search")
    search.choice("tuner", usual.tuner, search_config.TUNERS, "Who says what is tried next.")
    search.integer("trials", usual.trials, "How many settings; grid, Hyperband: at most, 0: all.")
    search.integer("seeds_per_trial", usual.seeds_per_trial, "Trainings of each, whose mean is its score.", 1)
    search.choice("objective", usual.objective, search_config.OBJECTIVES, "On validation.")
    search.texts("search", [], f"Beside temperature and alpha: {', '.join(search_config.CHOICES)}.")
    for name in ("temperature", "alpha", "learning_rate"):
        low, high = getattr(usual, name)
        search.number(f"{name}_low", low, f"Lowest {name}.")
        search.number(f"{name}_high", high, f"Highest {name}.")
    search.texts("teachers", [], "The .keras files to choose from.")
    search.integer("hyperband_factor", usual.hyperband_factor, "Of its rounds: one of so many goes on.")
    search.number("chief_patience", 20.0, "Seconds a worker waits for its chief.")
    search.number("worker_silence", 30.0, "Seconds until a silent worker is lost.")
    search.number("worker_patience", 600.0, "Seconds the chief waits without a worker.")
    for name in ("chief_patience", "worker_silence", "worker_patience"):
        flags.register_validator(name, lambda value: value > 0, "must be > 0 seconds", flag_values=values)


def search_of(values):
    """The `search.config.SearchConfig` that flags ask for."""
    usual = {"temperature": values.temperature, "alpha": values.alpha}
    if values.alpha_epochs:
        usual["alpha_epochs"] = values.alpha_epochs
    names = ("tuner", "trials", "seeds_per_trial", "objective", "hyperband_factor")
    ranges = ("temperature", "alpha", "learning_rate")
    return search_config.SearchConfig(
        searched=tuple(values.search),
        teachers=tuple(str(pathlib.Path(path).absolute()) for path in values.teachers),
        usual=usual,
        **{name: (values[f"{name}_low"].value, values[f"{name}_high"].value) for name in ranges},
        **{name: values[name].value for name in names},
    )


def define_export(values):
    """Which network is written as which files, and what it is compared with."""
    common = Group(values, COMMON)
    common.text("model", None, "The .keras file of a run of distill or train.")
    common.text("out", None, "Folder that gets a folder for the network; in its run's if not given.")
    common.switch("cost", False, "Say what the network costs, beside its twin and teacher.")
    common.texts("networks", [], "With --cost, in place of --model: resnet20, plain50-unfolded, ...")
    common.text("dataset", None, "Where the run's dataset is, if it has moved.")
    common.text("data_dir", None, "Where tensorflow-datasets keeps its data.")
    exported = Group(values, "files")
    exported.texts("formats", ["saved_model", "litert", "onnx"], "Which are written.")
    exported.texts("litert", ["float32", "dynamic_range", "full_integer"], "Kinds of LiteRT files.")
    exported.integer("batch", 0, "Images at a time; 0: any number.", lowest=0)
    exported.switch("fold", True, "Make BatchNorm a part of the convolutions.")
    exported.integer("test_images", 300, "Test images on which files are compared.", lowest=1)
    exported.number(
        "tolerance", 1e-4, "Largest difference of logits of float32 files, as a share.", lowest=0.0
    )
    exported.number(
        "same_class", 0.95, "Share of images with the same class, of quantised files.", lowest=0.0
    )
    costs = Group(values, "costs")
    costs.texts("batches", ["1", "32"], "Images at a time, whose latency is measured.")
    costs.integer("calls", 50, "Timed calls of each, fewer if they are slow.", lowest=5)
    costs.integer("threads", 1, "Of each runtime.", lowest=1)
    flags.register_validator(
        "batches",
        lambda sizes: bool(sizes) and all(size.isdigit() and int(size) for size in sizes),
        "takes whole numbers from 1, with commas between them",
        flag_values=values,
    )
