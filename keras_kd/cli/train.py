"""Train one network on the labels alone; its model.keras can teach (distill --teacher=).

keras-kd train --student_depth=20 --student_shortcuts=all

or one that loses its shortcuts on the way, without a teacher:

keras-kd train --student_depth=32 --student_width=8 --student_shortcuts=none --shortcut_removal=fade

or give a trained network a new classifier, which learns alone first and then with all layers:

keras-kd train --init=applications:MobileNetV3Small:weights=imagenet --freeze=backbone
"""

import functools

from keras_kd.cli import flags, network_flags, transfer_flags


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    flags.define_data(values)
    flags.define_run(values, "runs/train-DATASET")
    flags.define_student(values, depth=20, shortcuts="all")
    transfer_flags.define(values)
    flags.define_shortcut_removal(values)
    flags.define_settings(values)
    flags.define_snapshots(values)


def check(values):
    """Raises a ValueError for flags that cannot be, before anything is imported that takes seconds."""
    flags.settings_of(values)
    network_flags.check(values)
    transfer_flags.check(values)


def main(values):
    """Does what the flags ask for."""
    from keras_kd.cli import answers, console, networks, runs, terminal, train_runs
    from keras_kd.training.comparison import NetworkResult
    from keras_kd.training.distributed import strategy
    from keras_kd.utils import files, run_dir

    settings = flags.settings_of(values)
    run = runs.open_run(values, "train")
    result = runs.finished(run, values)
    if result is None:
        strategy.prepare(settings)
        dataset, settings = runs.load_dataset(values, settings)
        new = networks.with_new_head if values.init else networks.new_student
        model = new(values, dataset, settings)
        removal = train_runs.shortcut_removal_of(values, model, dataset)
        work = functools.partial(train_runs.train, model, dataset, settings, run.path, values, removal)
        result = runs.complete(run, values, settings, work)
        if result is None:
            return
    columns = ("network", "test accuracy", "test loss", "parameters", "seconds")
    with files.interpreting(run.path / run_dir.RESULT):
        row = terminal.network_row(result["network"], NetworkResult.from_json(result["measured"]))
        told = answers.of_training(result)
    print("\n".join(["", *told]))
    console.print_table("On test, touched once", [row], columns)
    console.print_paths(
        run=run.path,
        tensorboard=runs.tensorboard_of(run),
        model=run.path / "model.keras",
        result=run.path / run_dir.RESULT,
    )
    # Without the same split it would be measured on images that its teacher has seen.
    console.print_next("distill", teacher=run.path / "model.keras", **flags.given_of(values, flags.DATA))
