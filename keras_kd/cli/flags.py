"""Flags that commands share, each defined on a `FlagValues` of the command's own, and what they ask for.

A command's `define_flags(values)` calls some of these; no flag is global, so that any number of commands
can run in one process.
"""

import dataclasses
import pathlib

from absl import flags

from keras_kd.cli import network_flags
from keras_kd.search import config as search_config
from keras_kd.training import config
from keras_kd.utils import limits

# Flags of earlier versions, and what they are called now.
RENAMED = {
    "mentor_epochs": "alpha_epochs",
    "depth": "student_depth",
    "width": "student_width",
    "shortcuts": "student_shortcuts",
}

# Flags that earlier versions did not have, and the one that said it then.
IMPLIED = {"split_seed": "seed"}

# How data are read: they may differ when a run is taken up again, but see `runs.open_run`.
DATA_OPTIONS = ("cache", "cache_dir", "skip_bad_images")

# Which images are trained on, and which are set aside.
DATA = ("dataset", "data_dir", "validation_fraction", "split_seed", *DATA_OPTIONS)

# Where the images of a run are found again.
MOVED_DATA = ("dataset", "data_dir")

# They say where a run is and how it is started, not what it is.
NOT_OF_THE_RUN = ("out", "overwrite", "debug", "flagfile", "saved_models")


COMMON = "common"  # title of the first group

TEACHER = "teacher and distillation"

# Of `data.image_cache`, which imports NumPy and more.
CACHES = ("memory", "disk", "none")

# Of `distillation.shortcut_removal`, which takes seconds to import.
FADE_CURVES = ("cosine", "linear")
FADE_ORDERS = ("together", "input_first")
# Of a search, whose bounds have flags.
_SEARCHED_RANGES = ("temperature", "alpha", "learning_rate")

_REMOVAL_OPTIONS = ("fade_start", "fade_end", "fade_curve", "fade_order", "merge_pointwise")


class Group:
    """Defines flags under one title of `--help`.

    Args:
      values: an `absl.flags.FlagValues`.
      title: of the group.
    """

    def __init__(self, values, title):
        self._options = {"flag_values": values, "module_name": title}

    def text(self, name, default, words, check=None):
        flags.DEFINE_string(name, default, words, **self._options)
        self._check(name, check or _check_text)

    def integer(self, name, default, words, allowed):
        flags.DEFINE_integer(name, default, words, **self._options)
        self._check(name, allowed.check)

    def number(self, name, default, words, allowed):
        flags.DEFINE_float(name, default, words, **self._options)
        self._check(name, allowed.check)

    def switch(self, name, default, words):
        flags.DEFINE_bool(name, default, words, **self._options)

    def choice(self, name, default, choices, words):
        flags.DEFINE_enum(name, default, list(choices), words, **self._options)

    def texts(self, name, default, words):
        flags.DEFINE_list(name, default, words, **self._options)
        self._check(name, limits.check_each_once)

    def _check(self, name, check):
        """Refuses a value with the words of `check(name, value)`; a flag without one is not checked."""

        def holds(value):
            try:
                value is None or check(name, value)
            except ValueError as error:
                raise flags.ValidationError(str(error)) from error
            return True

        flags.register_validator(name, holds, flag_values=self._options["flag_values"])


def _check_text(name, value):
    if not value.strip():
        raise ValueError(f"{name} is empty: give it a value, or leave the flag out")
    if "\0" in value:
        raise ValueError(f"{name} holds a zero byte, which no name has. Received: {limits.shown(value)}")


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
        "'digits', a tensorflow-datasets name such as cifar10, a path to .npz, or a folder as PATH:96.",
    )
    data = Group(values, "data")
    data.text("data_dir", None, "Where tensorflow-datasets keeps its data.")
    data.number("validation_fraction", 0.1, "Share of train set aside.", limits.VALIDATION_FRACTION)
    data.integer("split_seed", 0, "Which part of train; the same for runs that are compared.", limits.SEED)
    data.choice("cache", None, CACHES, "Where decoded images of a folder are kept.")
    data.text("cache_dir", None, "Of --cache=disk, for all runs; runs/image_cache if not given.")
    data.switch("skip_bad_images", None, "Do without images of a folder that cannot be read, and list them.")


def data_options(values):
    """How the flags ask for data to be read: arguments of `keras_kd.data.load`."""
    return {
        "cache": values.cache,
        "cache_dir": values.cache_dir,
        "skip_bad_images": bool(values.skip_bad_images),
    }


def define_settings(values, **usual):
    """How networks are trained: a flag for each field of `training.Settings`.

    Args:
      values: an `absl.flags.FlagValues`.
      **usual: fields whose default is another here.
    """
    usual = config.Settings(**usual)

    def number(group, name, words):
        allowed, default = config.RANGES[name], getattr(usual, name)
        (group.integer if allowed.whole else group.number)(name, default, words, allowed)

    common = Group(values, COMMON)
    number(common, "epochs", "Passes over the training split, per network.")
    number(common, "batch_size", "Examples a step, over all replicas.")
    number(common, "learning_rate", "Highest rate of the schedule.")
    number(common, "seed", "Of weights, data order, augmentation, dropout.")
    recipe = Group(values, "training")
    words = "auto (follows the dataset), none, crop_flip, resized_crop+flip+randaugment, ..."
    recipe.text("augmentation", usual.augmentation, words, config.check_augmentation)
    recipe.choice("schedule", usual.schedule, config.SCHEDULES, "Of the rate.")
    number(recipe, "warmup_fraction", "Share of the steps to reach the highest rate.")
    recipe.choice("optimizer", usual.optimizer, config.OPTIMIZERS, "'adamw' decays decoupled.")
    number(recipe, "momentum", "Of SGD, with Nesterov's acceleration.")
    number(recipe, "weight_decay", "Of kernels; never of BatchNorm and biases.")
    recipe.choice("decay", usual.decay, config.DECAYS, "L2 in the loss, or decoupled.")
    number(recipe, "clip_norm", "Largest norm of the gradient; 0: any.")
    number(recipe, "accumulation_steps", "Steps whose gradients are averaged before weights change.")
    number(recipe, "ema", "Momentum of a moving average of the weights, which counts; 0: none.")
    number(recipe, "label_smoothing", "Share of a training label that is spread over all classes.")
    number(recipe, "early_stopping", "Epochs without a better validation until the end; 0: none.")
    recipe.switch("deterministic", usual.deterministic, "Give the same bits each time.")
    device = Group(values, "devices and speed")
    device.choice("strategy", usual.strategy, config.STRATEGIES, "'auto': mirrored on GPUs.")
    device.choice("precision", usual.precision, config.PRECISIONS, "Of the computation.")
    number(device, "replicas", "Of 'mirrored': GPUs, or parts of the CPU; 0: all GPUs.")
    device.choice("images", usual.images, config.IMAGES, "Where images lie and are augmented.")
    device.choice("jit_compile", usual.jit_compile, list(config.JIT), "Whether XLA compiles the step.")
    number(device, "steps_per_execution", "Steps without Python; 0: by the machine.")


def define_student(values, depth=32, width=16, shortcuts="none"):
    """The network that is trained alone, or taught."""
    student = Group(values, "student")
    words = "A network such as wide_resnet:16:2 or applications:MobileNetV3Small, or a .keras file."
    student.text("student", None, words)
    student.integer("student_depth", depth, "Of cifar_resnet, without --student: 6n+2 layers.", limits.DEPTH)
    student.integer("student_width", width, "Channels of the first stage.", limits.WIDTH)
    student.text("student_shortcuts", shortcuts, "'none', 'all', or a 0 or 1 per block as in 1,0,1.")


def define_teacher(values, width=16):
    """Who teaches, and how."""
    teacher = Group(values, TEACHER)
    teacher.text("teacher", None, "A trained one's .keras file, or a network as for --student to train.")
    teacher.integer("teacher_depth", 32, "Of cifar_resnet, without --teacher: 6n+2 layers.", limits.DEPTH)
    teacher.integer("teacher_width", width, "Channels of the first stage.", limits.WIDTH)
    teacher.number("temperature", 4.0, "Softening factor, > 0.", limits.TEMPERATURE)
    teacher.number("alpha", 0.9, "Weight of the teacher's term, in [0, 1].", limits.ALPHA)
    words = "Epochs after which alpha falls to 0; 0: it stays."
    teacher.integer("alpha_epochs", 0, words, limits.ALPHA_EPOCHS)
    cache = Group(values, "cached teacher logits")
    words = "Ask the teacher once about so many views; 0: at each step."
    cache.integer("teacher_views", 0, words, limits.VIEWS)
    cache.text("teacher_logits", "runs/teacher_logits", "Where its logits are kept, for all runs.")
    cache.choice("teacher_dtype", "float16", ("float16", "float32"), "Of these logits.")
    cache.integer("teacher_top_k", 0, "Keep the k largest logits; 0: all.", limits.TOP_K)


def define_shortcut_removal(values):
    """How a student loses its shortcuts while it is trained."""
    removal = Group(values, "shortcut removal")
    words = "How a student loses its shortcuts: none, fade, merge+blockwise, ...; if not given, in distill "
    words += "fade where shortcuts are switched off, and none for a --student of a file; in train none."
    removal.text("shortcut_removal", None, words)
    removal.number("fade_start", None, "Share of the training when gates begin to close.", limits.SHARE)
    removal.number("fade_end", None, "Share of the training when they are closed.", limits.SHARE)
    removal.choice("fade_curve", None, FADE_CURVES, "How they close between.")
    removal.choice("fade_order", None, FADE_ORDERS, "Of the blocks.")
    removal.switch("merge_pointwise", None, "Also merge a 1x1 convolution beside each.")


def shortcut_removal_of(values, otherwise=None):
    """The `ShortcutRemoval` that flags ask for.

    Args:
      values: an `absl.flags.FlagValues`.
      otherwise: the way if no flag says one; None: the recommended one where flags switch a shortcut off.

    Raises:
      ValueError: for an option that the way does not have, or that contradicts another.
    """
    from keras_kd.cli import networks
    from keras_kd.distillation import shortcut_removal
    from keras_kd.models import registry

    options = {name: values[name].value for name in _REMOVAL_OPTIONS if values[name].value is not None}
    way = values.shortcut_removal or otherwise
    if way is None:
        lacks = registry.lacks_shortcuts(networks.student_spec(values))
        way = shortcut_removal.RECOMMENDED if lacks else "none"
    return shortcut_removal.parse_spec(way, **options)


def define_snapshots(values):
    """How often the weights are kept on their way, for `landscape` to draw."""
    words = "Times a network's weights are kept; 0: never."
    Group(values, "run").integer("snapshots", 10, words, limits.SNAPSHOTS)
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


def check_lists(values):
    """Raises a ValueError for a list that was given without a value."""
    for name in values:
        if values[name].present and values[name].value == []:
            raise ValueError(f"--{name} is empty: give it a value, or leave the flag out")


def given(values, name):
    """The value of a flag that was given, else None."""
    return values[name].value if values[name].present else None


def given_of(values, names):
    """`{name: value}` of those of the flags that were given, for the command that is told next."""
    return {name: values[name].value for name in names if values[name].present}


def as_text(values, only_given=False):
    """`{name: text}` of the flags that make up a run.

    Args:
      values: an `absl.flags.FlagValues`.
      only_given: whether flags that were not given are left out.
    """
    found, without = {}, {*NOT_OF_THE_RUN, *network_flags.short_forms_unused(values)}
    for group in values.flags_by_module_dict().values():
        for flag in group:
            if flag.name in without or flag.value in (None, []) or (only_given and not flag.present):
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
    usual, ranges = search_config.SearchConfig(), search_config.RANGES
    search = Group(values, "search")
    search.choice("tuner", usual.tuner, search_config.TUNERS, "Who says what is tried next.")
    search.integer(
        "trials", usual.trials, "How many settings; grid, Hyperband: at most, 0: all.", ranges["trials"]
    )
    words = "Trainings of each, whose mean is its score."
    search.integer("seeds_per_trial", usual.seeds_per_trial, words, ranges["seeds_per_trial"])
    search.choice("objective", usual.objective, search_config.OBJECTIVES, "On validation.")
    search.texts("search", [], f"Beside temperature and alpha: {', '.join(search_config.CHOICES)}.")
    for name in _SEARCHED_RANGES:
        allowed, (low, high) = search_config.BOUNDS[name], getattr(usual, name)
        search.number(f"{name}_low", low, f"Lowest {name}.", allowed)
        search.number(f"{name}_high", high, f"Highest {name}.", allowed)
    search.texts("teachers", [], "The .keras files to choose from.")
    search.texts("students", [], "Networks to choose from, as for --student.")
    words = f"Ways to choose from; {','.join(search_config.SHORTCUT_REMOVALS)} if not given."
    search.texts("shortcut_removals", [], words)
    words = (
        f"Losses to choose from; {','.join(search_config.LOSSES)} if not given. LOW..HIGH as the value of an "
        f"option is searched: dkd:temperature=1..8."
    )
    search.texts("losses", [], words)
    words = "Of its rounds: one of so many goes on."
    search.integer("hyperband_factor", usual.hyperband_factor, words, ranges["hyperband_factor"])
    search.number("chief_patience", 20.0, "Seconds a worker waits for its chief.", limits.PATIENCE)
    search.number("worker_silence", 30.0, "Seconds until a silent worker is lost.", limits.PATIENCE)
    search.number("worker_patience", 600.0, "Seconds the chief waits without a worker.", limits.PATIENCE)


def search_of(values):
    """The `search.config.SearchConfig` that flags ask for."""
    usual = {"temperature": values.temperature, "alpha": values.alpha}
    if values.alpha_epochs:
        usual["alpha_epochs"] = values.alpha_epochs
    names = ("tuner", "trials", "seeds_per_trial", "objective", "hyperband_factor")
    return search_config.SearchConfig(
        searched=tuple(values.search),
        teachers=tuple(str(pathlib.Path(path).absolute()) for path in values.teachers),
        students=tuple(values.students),
        shortcut_removals=tuple(values.shortcut_removals),
        losses=tuple(values.losses),
        usual=usual,
        **{name: (values[f"{name}_low"].value, values[f"{name}_high"].value) for name in _SEARCHED_RANGES},
        **{name: values[name].value for name in names},
    )
