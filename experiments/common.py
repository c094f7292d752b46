"""What the scripts share: flags, the run's folder, the table at the end, errors in one line."""

import dataclasses
import functools
import importlib.metadata
import math
import os
import pathlib
import platform
import shutil
import sys

from absl import app, flags, logging
from rich.console import Console
from rich.table import Table

from keras_kd import (
    callbacks,
    datasets,
    export,
    optimization,
    pipeline,
    plots,
    storage,
    tensorboard,
    training,
)

_DEFAULTS = training.Settings()

DATASET = flags.DEFINE_string(
    "dataset",
    datasets.DEFAULT,
    "'digits', an image classifier of tensorflow-datasets such as cifar10, or a path ending in .npz.",
)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where tensorflow-datasets keeps its data.")
VALIDATION_FRACTION = flags.DEFINE_float("validation_fraction", 0.1, "Share of train set aside.")
OUT = flags.DEFINE_string("out", None, "Folder of the run; runs/SCRIPT-DATASET if not given.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Whether to delete a run that is there already.")
DEBUG = flags.DEFINE_bool("debug", False, "Whether an error shows its traceback.")

flags.DEFINE_integer("epochs", _DEFAULTS.epochs, "Passes over the training split, per network.")
flags.DEFINE_integer("batch_size", _DEFAULTS.batch_size, "Examples a step, over all replicas.")
flags.DEFINE_float("learning_rate", _DEFAULTS.learning_rate, "Highest rate of the schedule.")
flags.DEFINE_enum("schedule", _DEFAULTS.schedule, list(optimization.SCHEDULES), "Of the rate.")
flags.DEFINE_float("warmup_fraction", _DEFAULTS.warmup_fraction, "Share of the steps to reach that rate.")
flags.DEFINE_float("momentum", _DEFAULTS.momentum, "Of SGD, with Nesterov's acceleration.")
flags.DEFINE_float("weight_decay", _DEFAULTS.weight_decay, "Of kernels; never of BN and biases.")
flags.DEFINE_enum("decay", _DEFAULTS.decay, training.DECAYS, "L2 in the loss, or decoupled.")
flags.DEFINE_float("clip_norm", _DEFAULTS.clip_norm, "Largest norm of the gradient; 0: any.")
flags.DEFINE_enum(
    "augmentation", _DEFAULTS.augmentation, pipeline.AUGMENTATIONS, "'auto' follows the dataset."
)
flags.DEFINE_enum("precision", _DEFAULTS.precision, training.PRECISIONS, "Of the computation.")
flags.DEFINE_enum("strategy", _DEFAULTS.strategy, training.STRATEGIES, "'auto': mirrored on GPUs.")
flags.DEFINE_integer("seed", _DEFAULTS.seed, "Of weights, data order, augmentation, dropout.")


def settings():
    """The `training.Settings` that the flags ask for."""
    names = [field.name for field in dataclasses.fields(training.Settings)]
    return training.Settings(**{name: flags.FLAGS[name].value for name in names})


def load_dataset():
    """The dataset that the flags ask for, checked against the batch size."""
    dataset = datasets.load(
        DATASET.value,
        validation_fraction=VALIDATION_FRACTION.value,
        seed=flags.FLAGS.seed,
        data_dir=DATA_DIR.value,
    )
    pipeline.steps_per_epoch(dataset, flags.FLAGS.batch_size)
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


def open_run(script, exports=None):
    """Makes the run's folder and writes `flags.cfg` there.

    Args:
      script: name of the script.
      exports: folder where the run will put a SavedModel under the run's name, or None.

    Returns:
      The folder.

    Raises:
      ValueError: if the folder or the export is there already, or cannot be made.
    """
    stem = pathlib.Path(DATASET.value).stem.replace("/", "_").replace(":", "_")
    folder = pathlib.Path(OUT.value or f"runs/{script}-{stem}")
    if not folder.name:
        raise ValueError(f"--out must name a folder of its own. Received: --out={folder}")
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not (folder / "flags.cfg").is_file():
        raise ValueError(f"--out={folder} exists and is no run: choose another folder")
    targets = [folder] if exports is None else [folder, pathlib.Path(exports) / folder.name]
    for target in targets[1:]:
        export.check_target(target)
    for target in targets:
        if target.exists() and any(target.iterdir()) and not OVERWRITE.value:
            raise ValueError(f"{target} holds a run already: choose another --out, or pass --overwrite")
    try:
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        storage.write_text(_flagfile(), folder / "flags.cfg")
    except OSError as error:
        raise ValueError(
            f"cannot write to {error.filename} ({error.strerror}): choose another --out"
        ) from error
    return folder


def _flagfile():
    """This run's flags, one a line; where it was written to is not one of them."""
    by_module = flags.FLAGS.flags_by_module_dict()
    ours = [
        flag
        for module, group in by_module.items()
        if module.startswith("experiments.") or module == sys.argv[0]  # absl's name for __main__
        for flag in group
    ]
    lines = [flag.serialize() for flag in ours if flag.name not in ("out", "overwrite", "debug")]
    return "\n".join(sorted(filter(None, lines))) + "\n"


def write_result(folder, dataset, run_settings, **measured):
    """Writes `result.json`, atomically and last: it says that the run is whole.

    Args:
      folder: of the run.
      dataset: the `datasets.Dataset`.
      run_settings: the `training.Settings`.
      **measured: what else it says.

    Returns:
      Its path.
    """
    packages = ("keras_kd", "tensorflow", "keras", "numpy")
    sizes = {split: len(getattr(dataset, split).labels) for split in ("train", "validation", "test")}
    result = {
        **measured,
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
            **{package: importlib.metadata.version(package) for package in packages},
        },
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
    }
    storage.write_json(result, folder / "result.json")
    return folder / "result.json"


def write_hparams(folder, run_settings, hparams, networks, effects):
    """Fills TensorBoard's HParams tab with this run.

    Args:
      folder: of the run.
      run_settings: the `training.Settings`.
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
    tensorboard.write_picture(folder / "tensorboard" / "samples", "samples", plots.sample_grid(dataset))


def parameters(network):
    """Trainable parameters, which is what papers count."""
    return sum(math.prod(weight.shape) for weight in network.trainable_weights)


def percent(share):
    """A share for a table; "n/a" for None."""
    return "n/a" if share is None else f"{share:.1%}"


def network_row(label, row):
    """One network's measures as a row for `print_table`."""
    return {
        "network": label.replace("_", " "),
        "test accuracy": percent(row["accuracy"]),
        "test loss": f"{row['loss']:.3f}",
        "agreement": percent(row.get("agreement")),
        "parameters": f"{row['parameters']:,}",
        "seconds": "-" if row["seconds"] is None else f"{row['seconds']:.0f}",
    }


def print_table(title, rows, columns):
    """Prints rows of `{column: text}` as a table."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column == columns[0] else "right")
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def print_paths(**paths):
    """Prints where things were written."""
    width = max(map(len, paths))
    for name, path in paths.items():
        print(f"{name:<{width}}  {path}")


def run(main):
    """Runs a script's `main` under absl, with its flags parsed."""
    app.run(functools.partial(guarded, main))


def guarded(main, argv):
    """Calls `main`; bad input ends in one line and exit status 1, not in a traceback."""
    logging.set_verbosity(logging.WARNING)
    try:
        if len(argv) > 1:
            raise ValueError(f"flags begin with --. Received: {' '.join(argv[1:])}")
        main()
    except (ValueError, OSError, callbacks.TrainingDivergedError) as error:
        if DEBUG.value:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
