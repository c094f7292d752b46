"""What the scripts that train share: flags, the run's folder, what a result says."""

import dataclasses
import math
import os
import pathlib
import platform

import keras
from absl import flags

import keras_kd
from experiments import console, machine
from keras_kd.data import augmentation, datasets, sampling
from keras_kd.export import saved_model
from keras_kd.reporting import figures, tensorboard
from keras_kd.training import config, optimizers
from keras_kd.training.distributed import strategy
from keras_kd.utils import backend, run_dir

_DEFAULTS = config.Settings()

DATASET = flags.DEFINE_string(
    "dataset",
    datasets.DEFAULT,
    "'digits', an image classifier of tensorflow-datasets such as cifar10, or a path ending in .npz.",
)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where tensorflow-datasets keeps its data.")
VALIDATION_FRACTION = flags.DEFINE_float("validation_fraction", 0.1, "Share of train set aside.")
OUT = flags.DEFINE_string("out", None, "Folder of the run; runs/SCRIPT-DATASET if not given.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Whether to delete a run that is there already.")

flags.DEFINE_integer("epochs", _DEFAULTS.epochs, "Passes over the training split, per network.")
flags.DEFINE_integer("batch_size", _DEFAULTS.batch_size, "Examples a step, over all replicas.")
flags.DEFINE_float("learning_rate", _DEFAULTS.learning_rate, "Highest rate of the schedule.")
flags.DEFINE_enum("schedule", _DEFAULTS.schedule, list(optimizers.SCHEDULES), "Of the rate.")
flags.DEFINE_float("warmup_fraction", _DEFAULTS.warmup_fraction, "Share of the steps to reach that rate.")
flags.DEFINE_float("momentum", _DEFAULTS.momentum, "Of SGD, with Nesterov's acceleration.")
flags.DEFINE_float("weight_decay", _DEFAULTS.weight_decay, "Of kernels; never of BN and biases.")
flags.DEFINE_enum("decay", _DEFAULTS.decay, config.DECAYS, "L2 in the loss, or decoupled.")
flags.DEFINE_float("clip_norm", _DEFAULTS.clip_norm, "Largest norm of the gradient; 0: any.")
flags.DEFINE_enum("augmentation", _DEFAULTS.augmentation, augmentation.NAMES, "'auto' follows the dataset.")
flags.DEFINE_enum("precision", _DEFAULTS.precision, config.PRECISIONS, "Of the computation.")
flags.DEFINE_enum("strategy", _DEFAULTS.strategy, config.STRATEGIES, "'auto': mirrored on GPUs.")
flags.DEFINE_integer(
    "replicas", _DEFAULTS.replicas, "Of 'mirrored': GPUs, or parts of the CPU where there is none; 0: all."
)
flags.DEFINE_enum("images", _DEFAULTS.images, config.IMAGES, "Where images lie and are augmented.")
flags.DEFINE_enum("jit_compile", _DEFAULTS.jit_compile, list(config.JIT), "Whether XLA compiles the step.")
flags.DEFINE_integer(
    "steps_per_execution", _DEFAULTS.steps_per_execution, "Steps without asking Python; 0: by the machine."
)
flags.DEFINE_bool("deterministic", _DEFAULTS.deterministic, "Whether a run gives the same bits each time.")
flags.DEFINE_integer("seed", _DEFAULTS.seed, "Of weights, data order, augmentation, dropout.")


def settings():
    """The `config.Settings` that the flags ask for."""
    names = [field.name for field in dataclasses.fields(config.Settings)]
    return config.Settings(**{name: flags.FLAGS[name].value for name in names})


def given(name):
    """The value of a flag that was given, else None."""
    return flags.FLAGS[name].value if flags.FLAGS[name].present else None


def given_settings(less=()):
    """`{name: value}` of the fields of `config.Settings` whose flags were given.

    Args:
      less: names that may not be given.

    Raises:
      ValueError: for one of them.
    """
    names = [field.name for field in dataclasses.fields(config.Settings) if flags.FLAGS[field.name].present]
    refused = [name for name in names if name in less]
    if refused:
        raise ValueError(f"--{refused[0]} belongs to each run: give it as an axis in the study file")
    return {name: flags.FLAGS[name].value for name in names}


def load_dataset():
    """The dataset that the flags ask for, checked against the batch size."""
    dataset = datasets.load(
        DATASET.value,
        validation_fraction=VALIDATION_FRACTION.value,
        seed=flags.FLAGS.seed,
        data_dir=DATA_DIR.value,
    )
    sampling.batch_schedule(dataset, flags.FLAGS.batch_size)
    return dataset


def parse_shortcuts(text):
    """ "none" and "all" to a bool, "1,0,1" to one bool per block.

    Raises:
      ValueError: for anything else.
    """
    if text in ("none", "all"):
        return text == "all"
    values = text.split(",")
    if not set(values) <= {"0", "1"}:
        raise ValueError(
            f"shortcuts must be 'none', 'all', or a 0 or 1 per block as in 1,0,1. Received: {text!r}"
        )
    return [value == "1" for value in values]


def tensorboard_of(run):
    """Where a run's TensorBoard is, or why there is none."""
    return run.path / "tensorboard" if backend.has_tensorflow() else "only where TensorFlow is installed"


def open_run(script, exports=None, *, name=None, changeable=(), only_given=False):
    """The run that the flags name, and where it exports to; nothing is written yet.

    Args:
      script: name of the script.
      exports: folder where the run will put a SavedModel under the run's name, or None.
      name: of the folder, if --out is not given; None: after the script and the dataset.
      changeable: names of flags that may differ when the run is taken up again.
      only_given: whether flags that were not given are no part of the run.

    Returns:
      A `run_dir.RunDir`.

    Raises:
      ValueError: if the folder holds something else or a run with other flags, or if the export
        is there and not of this run.
    """
    stem = pathlib.Path(DATASET.value).stem.replace("/", "_").replace(":", "_")
    path = OUT.value or f"runs/{name or f'{script}-{stem}'}"
    run = run_dir.RunDir(path, console.flags_of_script(only_given), changeable)
    if not OVERWRITE.value:
        run.check_flags()
    if exports is not None:
        target = pathlib.Path(exports) / run.path.name
        saved_model.check_target(target)
        if target.exists() and not run.begun and not OVERWRITE.value:
            raise ValueError(f"{target} is of another run: choose another --out, or pass --overwrite")
        _check_parent(target)
    return run


def _check_parent(path):
    """Raises a ValueError if a folder cannot be made at `path`."""
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"cannot write to {parent}: choose another folder for {path}")


def finished(run):
    """What the run measured if an earlier process finished it, else None."""
    result = None if OVERWRITE.value else run.result()
    if result is not None:
        print(f"{run.path} is finished, this is its result (--overwrite starts anew)")
    return result


def complete(run, run_settings, work):
    """Does a run's work in its folder and writes the result.

    Args:
      run: a `run_dir.RunDir`.
      run_settings: the `config.Settings`.
      work: a function without arguments that returns the result.

    Returns:
      The result; None on all hosts but the chief, which alone owns the folder.
    """
    if not strategy.is_chief(run_settings):
        work()
        print("this host is done: the chief writes the result", flush=True)
        return None
    with run.claimed(OVERWRITE.value):
        result = run.result()  # which another process may have finished just before
        if result is None:
            result = work()
            run.finish(result)
    return result


def describe(dataset, run_settings):
    """What each result says beside its measurements: data, settings, versions, machine."""
    sizes = {split: len(getattr(dataset, split).labels) for split in ("train", "validation", "test")}
    return {
        "seed": run_settings.seed,
        "settings": dataclasses.asdict(run_settings),
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "examples": sizes,
            "image_shape": list(dataset.image_shape),
            "classes": dataset.num_classes,
        },
        "versions": {
            "python": platform.python_version(),
            "keras_kd": keras_kd.__version__,
            **machine.versions(keras.backend.backend(), "keras", "numpy"),
        },
        "machine": machine.describe(),
    }


def write_hparams(folder, run_settings, hparams, networks, effects):
    """Fills TensorBoard's HParams tab with this run.

    Args:
      folder: of the run.
      run_settings: the `config.Settings`.
      hparams: further hyperparameters.
      networks: `{label: {measure: number}}`.
      effects: `{name: number or None}`.
    """
    measures = {
        f"{label}/{measure}": value
        for label, row in networks.items()
        for measure, value in row.items()
        if measure in ("accuracy", "loss", "agreement")
    }
    logs = folder / "tensorboard" / "hparams"
    tensorboard.write_hparams(
        logs, folder.name, dataclasses.asdict(run_settings) | hparams, effects | measures
    )


def write_samples(folder, dataset):
    """Shows some training images in TensorBoard."""
    tensorboard.write_picture(folder / "tensorboard" / "samples", "samples", figures.sample_grid(dataset))


def parameters(network):
    """Trainable parameters, which is what papers count."""
    return sum(math.prod(weight.shape) for weight in network.trainable_weights)


def network_row(label, row):
    """One network's measures as a row for `print_table`."""
    return {
        "network": label.replace("_", " "),
        "test accuracy": console.percent(row["accuracy"]),
        "test loss": f"{row['loss']:.3f}",
        "agreement": console.percent(row.get("agreement")),
        "parameters": f"{row['parameters']:,}",
        "seconds": "-" if row["seconds"] is None else f"{row['seconds']:.0f}",
    }
