"""Find temperature and alpha on validation, and say on test what that gave.

    keras-kd search

trains a residual teacher of 20 layers and tries eight settings of temperature and alpha on the plain student,
two seeds each, in some minutes on two cores. (Its defaults of depth, width and epochs are smaller than those
of `distill`, so that it ends while one looks on.) It leaves a page, and `best.cfg`, which
`keras-kd distill --flagfile=` takes.

Several workers: the same command in each process, with keras-tuner's environment variables
KERASTUNER_TUNER_ID (chief, and another name for each worker), KERASTUNER_ORACLE_IP and
KERASTUNER_ORACLE_PORT. All see one folder.
"""

from keras_kd.cli import flags, network_flags, teacher_flags

# What may be given otherwise when a search is taken up again.
CHANGEABLE = ("retry_failed", "trust_teacher", "chief_patience", "worker_silence", "worker_patience")


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    flags.define_data(values)
    flags.define_run(values, "runs/search-DATASET")
    flags.define_retry(values)
    flags.define_search(values)
    flags.define_teacher(values)
    teacher_flags.define(values)
    flags.define_student(values)
    flags.define_settings(values)
    # Smaller than elsewhere, so that the search ends within five minutes on two cores.
    for name, default in {"epochs": 15, "teacher_depth": 20, "student_depth": 20, "student_width": 8}.items():
        values.set_default(name, default)


def check(values):
    """Raises a ValueError for flags that cannot be, before anything is imported that takes seconds."""
    flags.settings_of(values)
    flags.search_of(values)
    network_flags.check(values)
    teacher_flags.check(values, [values.teacher, *values.teachers])


def main(values):
    """Does what the flags ask for."""
    from keras_kd.cli import console, runs, search_display, search_runs
    from keras_kd.search import results, session, workers
    from keras_kd.utils import files, run_dir

    config, settings = flags.search_of(values), flags.settings_of(values)
    worker = workers.worker_config()
    session.plan(config, settings)  # raises for what cannot work, before anything is written
    run = runs.open_run(values, "search", changeable=CHANGEABLE)
    is_worker = worker and not worker.is_chief
    if is_worker and values.overwrite:
        raise ValueError("--overwrite is the chief's: give it there alone")
    stored = None if values.retry_failed else runs.finished(run, values)
    result = None
    if stored is not None:
        with files.interpreting(run.path / run_dir.RESULT):
            result = results.SearchResult.from_json(stored)
    if is_worker:
        if result is None:
            search_runs.join(values, run, worker, config, settings)
        return
    if result is None:
        result = search_runs.search(values, run, worker, config, settings)
    search_display.print_findings(result)
    console.print_paths(
        run=run.path,
        page=run.path / "search.html",
        flagfile=run.path / search_runs.BEST,
        tensorboard=runs.tensorboard_of(run),
        result=run.path / run_dir.RESULT,
    )
    console.print_next("distill", flagfile=run.path / search_runs.BEST)
    search_display.check_failures(run.path, result)
