"""Distil a teacher into a student without shortcuts, and show what that gave.

    keras-kd distill

trains a residual teacher, the plain student alone and the plain student with the teacher's help, measures all
three on test, and exports the distilled student. Where the teacher is the student's residual twin (the
default) it also says what shortcuts are worth (drop) and how much of that the teacher brings back (recovery).
"""

import functools

from keras_kd.cli import flags, loss_flags, network_flags, teacher_flags
from keras_kd.utils import limits, seeding, specs

# On digits a plain network of these falls short of its twin, and what to do about it shows in two minutes.
WIDTH, EPOCHS = 8, 20

# What may be given otherwise when a run is taken up again.
CHANGEABLE = ("jobs", "trust_teacher")


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    flags.define_data(values)
    flags.define_run(values, "runs/distill-DATASET")
    flags.define_teacher(values, width=WIDTH)
    teacher_flags.define(values)
    words = "Where a teacher that is trained here begins: with the student's, unless 'own'."
    flags.Group(values, flags.TEACHER).choice("initial_weights", None, seeding.STARTS, words)
    loss_flags.define(values)
    flags.define_student(values, width=WIDTH)
    flags.Group(values, "student").switch(
        "baseline", False, "Also train the student's residual twin where the teacher is not that."
    )
    flags.define_shortcut_removal(values)
    flags.define_settings(values, epochs=EPOCHS)
    words = (
        "How many, from --seed on, as 3, or which, as 0,4,7: all of it for each, with intervals over them."
    )
    flags.Group(values, flags.COMMON).text("seeds", None, words)
    words = "Networks trained at a time, 1 or 2, with the same result; 0: as is faster."
    flags.Group(values, "devices and speed").integer("jobs", 0, words, limits.whole(0, 2))
    flags.define_snapshots(values)
    flags.define_saved_models(values)


def check(values):
    """Raises a ValueError for flags that cannot be, before anything is imported that takes seconds."""
    flags.settings_of(values)
    if seeds_of(values) and values.strategy == "multiworker":
        raise ValueError("--seeds trains on one host: with --strategy=multiworker give each --seed a command")
    network_flags.check(values)
    teacher_flags.check(values, [values.teacher])
    if values.initial_weights and values.teacher and specs.is_file(values.teacher):
        raise ValueError(
            f"--initial_weights is of a teacher that is trained here: leave it out. Received: "
            f"--teacher={values.teacher}"
        )


def seeds_of(values):
    """The seeds that --seeds names: how many, from --seed on, or which; None if it was not given.

    Raises:
      ValueError: for what is neither.
    """
    if values.seeds is None:
        return None
    found = seeding.numbers("--seeds", values.seeds)
    first = values.seed if values.seeds.strip().isdecimal() else 0
    return [limits.SEED.check("each of --seeds", first + seed) for seed in found]


def main(values):
    """Does what the flags ask for."""
    from keras_kd.cli import console, distill_seeds, runs, terminal
    from keras_kd.training.labels import network_file
    from keras_kd.utils import run_dir

    if values.seeds:
        distill_seeds.main(values)
        return
    found = trained(values)
    if found is None:
        return
    run, measured, about = found
    terminal.print_comparison(measured, **about)
    console.print_paths(
        run=run.path,
        tensorboard=runs.tensorboard_of(run),
        curves=run.path / "curves.png",
        saved_model=runs.find_export(values, run),
        result=run.path / run_dir.RESULT,
    )
    if terminal.is_raised(measured):
        student = run.path / network_file(list(measured.networks)[-1])
        console.print_next("export", "cost", model=student, **flags.given_of(values, ["data_dir"]))
    else:  # what one seed leaves open, or speaks against, is asked of more
        given = {
            name: text for name, text in flags.as_text(values, only_given=True).items() if name != "seed"
        }
        console.print_next("distill", seeds=3, **given)


def trained(values):
    """Trains what flags ask for, or reads what was trained.

    Returns:
      `(run, comparison, {"loss": text, "epochs": number})`; None on all hosts but the chief.
    """
    from keras_kd.cli import distill_runs, runs
    from keras_kd.training import comparison
    from keras_kd.utils import files, run_dir

    run = runs.open_run(values, "distill", changeable=CHANGEABLE)
    result = runs.finished(run, values)
    if result is None:
        prepared = distill_runs.prepare(values, run)
        work = functools.partial(distill_runs.distil, prepared, run.path, values)
        result = runs.complete(run, values, prepared.settings, work)
        if result is None:
            return None
    with files.interpreting(run.path / run_dir.RESULT):
        about = {"loss": result.get("loss", "kd"), "epochs": result.get("settings", {}).get("epochs")}
        return run, comparison.Comparison.from_json(result), about
