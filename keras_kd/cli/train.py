"""Train one network on the labels alone; its model.keras can teach (distill --teacher=).

keras-kd train --student_depth=20 --student_shortcuts=all

or give a trained network a new classifier, which learns alone first and then with all layers:

keras-kd train --init=applications:MobileNetV3Small:weights=imagenet --freeze=backbone
"""

import functools

from keras_kd.cli import flags, network_flags
from keras_kd.utils import limits


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    flags.define_data(values)
    flags.define_run(values, "runs/train-DATASET")
    flags.define_student(values, depth=20, shortcuts="all")
    _define_transfer(values)
    flags.define_settings(values)
    flags.define_snapshots(values)


# What is not given is None, so that folders of earlier runs, which had no such flags, go on.
_FROZEN_EPOCHS, _UNFREEZE_RATE = 5, 0.1


def _define_transfer(values):
    """A trained network, and how it learns other classes."""
    transfer = flags.Group(values, "transfer")
    words = (
        "A trained network that gets a new classifier: a .keras file, or applications:NAME:weights=imagenet."
    )
    transfer.text("init", None, words)
    words = "What does not learn at first: with 'backbone' the new classifier is trained alone."
    transfer.choice("freeze", None, ("none", "backbone"), words)
    words = f"Of --epochs, with the backbone frozen. [{_FROZEN_EPOCHS}]"
    transfer.integer("freeze_epochs", None, words, limits.whole(1, limits.EPOCHS.high))
    words = f"Share of --learning_rate for all layers after that. [{_UNFREEZE_RATE}]"
    transfer.number("unfreeze_rate", None, words, limits.TRAINING_SHARE)


def check(values):
    """Raises a ValueError for flags that cannot be, before anything is imported that takes seconds."""
    flags.settings_of(values)
    network_flags.check(values)
    _check_transfer(values)


def _check_transfer(values):
    needs = {"freeze": "init", "freeze_epochs": "freeze", "unfreeze_rate": "freeze"}
    for name, needed in needs.items():
        if values[name].value is not None and values[needed].value in (None, "none"):
            raise ValueError(f"--{name} belongs to --{needed}: give that too, or leave --{name} out")
    also = [name for name in ("student", *network_flags.SHORT_FORMS["student"]) if values[name].present]
    if values.init and also:
        raise ValueError(f"--init and --{also[0]} both say which network is trained: leave --{also[0]} out")
    frozen = values.freeze_epochs or _FROZEN_EPOCHS
    if values.freeze == "backbone" and frozen > values.epochs:
        raise ValueError(
            f"--freeze_epochs must be at most the {values.epochs} epochs of --epochs. Received: {frozen}"
        )


def main(values):
    """Does what the flags ask for."""
    from keras_kd.cli import console, networks, runs, terminal
    from keras_kd.training.comparison import NetworkResult
    from keras_kd.training.distributed import strategy
    from keras_kd.utils import files

    settings = flags.settings_of(values)
    run = runs.open_run(values, "train")
    result = runs.finished(run, values)
    if result is None:
        strategy.prepare(settings)
        dataset, settings = runs.load_dataset(values, settings)
        new = networks.with_new_head if values.init else networks.new_student
        model = new(values, dataset, settings)
        work = functools.partial(_train, model, dataset, settings, run.path, values)
        result = runs.complete(run, values, settings, work)
        if result is None:
            return
    columns = ("network", "test accuracy", "test loss", "parameters", "seconds")
    with files.interpreting(run.path / "result.json"):
        row = terminal.network_row(result["network"], NetworkResult.from_json(result["measured"]))
    console.print_table("On test, touched once", [row], columns)
    console.print_paths(
        run=run.path,
        tensorboard=runs.tensorboard_of(run),
        model=run.path / "model.keras",
        result=run.path / "result.json",
    )
    console.print_next("distill", teacher=run.path / "model.keras", dataset=flags.given(values, "dataset"))


def _train(model, dataset, settings, folder, values):
    """The result, of several hosts on the chief alone."""
    from keras_kd import training
    from keras_kd.models import serialization, weights
    from keras_kd.reporting import tensorboard
    from keras_kd.training import description
    from keras_kd.training.comparison import NetworkResult
    from keras_kd.training.distributed import strategy
    from keras_kd.utils import run_dir

    trained = _trained(model, dataset, settings, folder, values)
    if not strategy.is_chief(settings):
        return None
    row = NetworkResult(
        **training.evaluate(model, dataset),
        parameters=weights.count_parameters(model),
        seconds=trained.seconds,
    ).to_json()
    serialization.save_model(model, folder / run_dir.MODEL)
    tensorboard.write_run(folder, dataset, settings, {"network": model.name}, {"model": row}, {})
    described = description.describe(dataset, settings)
    fingerprints = {run_dir.MODEL: weights.fingerprint(model)}
    return {
        "network": model.name,
        "measured": row,
        "fingerprints": fingerprints,
        "history": trained.history,
        **described,
    }


def _trained(model, dataset, settings, folder, values):
    """Trains as flags ask for: all layers, or the classifier first."""
    from keras_kd import training
    from keras_kd.cli import console, runs

    options = {"folder": folder, "label": "model"}
    options["callbacks"] = runs.callbacks(values, folder, settings)("model", model)
    if values.freeze != "backbone":
        return training.train(model, dataset, settings, **options)
    return training.fine_tune(
        model,
        dataset,
        settings,
        frozen_epochs=values.freeze_epochs or _FROZEN_EPOCHS,
        unfrozen_rate=values.unfreeze_rate or _UNFREEZE_RATE,
        head_callbacks=[console.stop_signal()],
        **options,
    )
