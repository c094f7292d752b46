"""The run that flags name: opened, finished once, and what every result says."""

import functools
import os
import pathlib

from keras_kd.cli import console, flags
from keras_kd.data import datasets, held_out, sampling, tfds
from keras_kd.distillation import cache_logits
from keras_kd.export import saved_model
from keras_kd.models import cost
from keras_kd.training import config, inputs
from keras_kd.training.distributed import strategy
from keras_kd.training.snapshots import Snapshots
from keras_kd.utils import backend, checks, folders, identity, run_dir

SAVED_MODEL = "saved_model"  # of the exported student, in the folder of its run


def load_dataset(values, settings, dataset=None):
    """`(dataset, settings)` that flags ask for; a batch size that was not given fits a small dataset.

    Images that a training meets at its end are looked at before.

    Args:
      values: an `absl.flags.FlagValues`.
      settings: as flags ask for them.
      dataset: what they ask for, where it was loaded so already.
    """
    loaded = dataset or datasets.load(
        values.dataset,
        validation_fraction=values.validation_fraction,
        seed=values.split_seed,
        data_dir=values.data_dir,
        **flags.data_options(values),
    )
    if not values["batch_size"].present:
        settings = inputs.with_fitting_batch(settings, len(loaded.train.labels))
    sampling.batch_schedule(loaded, settings.batch_size)
    if dataset is None:
        held_out.check_images(loaded)
    return loaded, settings


def default_folder(command, dataset):
    """Where a command keeps a run if --out is not given."""
    stem = pathlib.Path(dataset).stem.replace("/", "_").replace(":", "_")
    return f"runs/{command}-{stem}"


def open_run(values, command, *, name=None, dataset=None, changeable=(), only_given=False):
    """The run that flags name; nothing is written yet.

    Args:
      values: an `absl.flags.FlagValues`.
      command: its name.
      name: of the folder, if --out is not given; None: after the command and the dataset.
      dataset: its name; None: as flags say.
      changeable: names of flags that may differ when the run is taken up again.
      only_given: whether flags that were not given are no part of the run.

    Returns:
      A `run_dir.RunDir`.

    Raises:
      ValueError: if the folder holds something else, or a run with other flags; also for another way to read
        tensorflow-datasets, which makes it another dataset.
    """
    path = values.out or (f"runs/{name}" if name else default_folder(command, values.dataset))
    earlier = flags.RENAMED | dict.fromkeys(flags.NOT_OF_THE_RUN)
    given = flags.as_text(values, only_given)
    if not values["batch_size"].present:  # so that the flags that are written down adapt it again
        given.pop("batch_size", None)
    checks.check_line(str(path), "--out")
    same = (command if command in values else "dataset",)
    about = {"renamed": earlier, "implied": flags.IMPLIED, "command": command, "same": same}
    later = ("batch_size", *config.LATER)  # what earlier runs did not write down, or only where it was given
    about["defaults"] = None if only_given else {name: str(values[name].default) for name in later}
    run = run_dir.RunDir(path, given, (*changeable, *flags.DATA_OPTIONS), **about)
    (run.check_overwritable if values.overwrite else run.check_flags)()
    if run.begun and not values.overwrite:
        _check_cache(values, run, dataset or values.dataset)
    check_place(run.path)
    return run


def _check_cache(values, run, dataset):
    was, now = run_dir.read_flags(run.path)[1].get("cache"), values.cache
    if tfds.is_by_index(was) == tfds.is_by_index(now) or not datasets.is_of_tfds(dataset):
        return
    changes = (
        f"--cache was {was or 'not given'} and is {now or 'not given'}, and tensorflow-datasets read by "
        f"index (none, disk) are other data than in memory: "
        f"{f'give --cache={was}' if was else 'leave --cache out'} to go on"
    )
    raise identity.IdentityMismatchError(run.path, changes, "was begun with other flags")


def check_place(path, flag="--out", *, lock_beside=False):
    """Raises a ValueError if a folder cannot be made, or written to, at `path`; leaves nothing behind.

    Args:
      path: of the folder.
      flag: that names it.
      lock_beside: whether it is held by `folders.alone_in`, whose lock is a file beside it.
    """
    try:
        folders.check_writable(path)
        if lock_beside:
            folders.check_writable(pathlib.Path(path).absolute().parent)
    except ValueError as error:
        raise ValueError(f"{error}: choose another {flag} than {path}") from error


def check_logits_place(values, views):
    """Raises a ValueError if the teacher's logits under so many views cannot be kept where flags say."""
    if views:
        check_place(pathlib.Path(values.teacher_logits), "--teacher_logits")


def export_target(values, run):
    """Where the student is exported to: into the run's folder, or below --saved_models.

    There its name is the run's path, so that a/run and b/run do not meet, and what another run made
    stays.

    Raises:
      FileExistsError: if something else than a SavedModel is there.
      ValueError: if another run made what is there, or nothing can be written there or found.
    """
    if not values.saved_models:
        saved_model.check_path(run.path)
        return run.path / SAVED_MODEL
    if pathlib.Path(values.saved_models).resolve().is_relative_to(run.path.resolve()):
        raise ValueError(
            f"--saved_models={values.saved_models} lies in the run's own folder {run.path}: "
            f"choose one outside, or leave it away"
        )
    parts = pathlib.Path(os.path.relpath(run.path)).parts
    target = pathlib.Path(values.saved_models) / "-".join(part for part in parts if part != os.pardir)
    saved_model.check_target(target)
    if target.exists() and saved_model.made_by(target) != str(run.path.absolute()):
        raise ValueError(
            f"{target} is of another run ({saved_model.made_by(target) or 'which is not known'}): "
            f"choose another --saved_models than {values.saved_models}"
        )
    check_place(target, "--saved_models")
    return target


def find_export(values, run):
    """Where a finished run's export is now, in words if it is not there."""
    if not backend.on_tensorflow():
        return "only with KERAS_BACKEND=tensorflow"
    places = (export_target(values, run), run.path / SAVED_MODEL)
    return next((path for path in places if path.is_dir()), "not where this command would put it")


def finished(run, values):
    """What the run measured if an earlier process finished it, else None."""
    result = None if values.overwrite else run.result()
    if result is not None:
        print(f"{run.path} is finished, this is its result (--overwrite starts anew)")
    return result


def complete(run, values, settings, work):
    """Does a run's work in its folder and writes the result.

    Args:
      run: a `run_dir.RunDir`.
      values: an `absl.flags.FlagValues`.
      settings: the `training.Settings`.
      work: a function without arguments that returns the result.

    Returns:
      The result; None on all hosts but the chief, which alone owns the folder.
    """
    if not strategy.is_chief(settings):
        work()
        print("this host is done: the chief writes the result", flush=True)
        return None
    with run.claimed(values.overwrite):
        result = run.result()  # which another process may have finished just before
        if result is None:
            result = work()
            run.finish(result)
    return result


def cached_logits(values, dataset, settings, views=None):
    """A function from the teacher to its cached logits as flags ask for them; None if it is asked live.

    Args:
      values: an `absl.flags.FlagValues`.
      dataset, settings: as for `training.train`.
      views: of each training image; None: as --teacher_views says.
    """
    views = values.teacher_views if views is None else views
    if not views:
        return None
    return functools.partial(
        _cached_logits,
        dataset=dataset,
        schedule=inputs.batch_schedule(dataset, settings, views),
        folder=values.teacher_logits,
        dtype=values.teacher_dtype,
        top_k=values.teacher_top_k,
    )


def _cached_logits(teacher, *, schedule, **options):
    return cache_logits(teacher, schedule=schedule, **options)


def callbacks(values, folder, settings):
    """A function from a label and a network to its callbacks: snapshots are kept, and signals end it."""
    writes = strategy.is_chief(settings)
    return functools.partial(_callbacks, folder=folder, snapshots=values.snapshots, writes=writes)


def _callbacks(label, network, *, folder, snapshots, writes):
    if not snapshots:
        return [console.stop_signal()]
    path = folder / run_dir.TRAJECTORY / label
    return [Snapshots(path, network, snapshots, writes=writes), console.stop_signal()]


def check_stop():
    """Raises a `TrainingInterruptedError` if a signal asked this process to end."""
    console.stop_signal().check("networks in training beside")


# Multiply-adds of a step, forward, up to which two networks side by side are done before one after the other.
SMALL_STEP = 5e8


def networks_at_a_time(values, settings, student):
    """How many networks of a comparison are trained at a time: as flags say, or two where that is faster."""
    if values.jobs:
        return values.jobs
    fits = settings.strategy in ("auto", "none") and not backend.has_accelerator()
    if not fits or (os.cpu_count() or 1) < 2:
        return 1
    step = cost.cost(student).multiply_adds * settings.batch_size
    return 2 if step <= SMALL_STEP else 1


def tensorboard_of(run):
    """Where a run's event files are, or why there are none."""
    return run.path if backend.has_tensorflow() else "only where TensorFlow is installed"
