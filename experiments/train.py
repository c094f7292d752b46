"""Trains one network on the labels alone.

    python -m experiments.train --depth=20

writes `model.keras`, which `experiments.distill --teacher=` takes.
"""

import functools

import keras
from absl import flags

import keras_kd
from experiments import common, console, layout, snapshots
from keras_kd.models import serialization
from keras_kd.training import evaluation, trainer
from keras_kd.training.distributed import strategy

DEPTH = flags.DEFINE_integer("depth", 20, "6n+2.")
WIDTH = flags.DEFINE_integer("width", 16, "Channels of the first stage.")
SHORTCUTS = flags.DEFINE_string("shortcuts", "all", "'none', 'all' or 1,0,1,...")


def main():
    settings = common.settings()
    run = common.open_run("train")
    result = common.finished(run)
    if result is None:
        strategy.prepare(settings)
        dataset = common.load_dataset()
        model = build_network(dataset, settings)
        work = functools.partial(train, model, dataset, settings, run.path)
        result = common.complete(run, settings, work)
        if result is None:
            return
    columns = ("network", "test accuracy", "test loss", "parameters", "seconds")
    row = common.network_row(result["network"], result["measured"])
    console.print_table("On test, touched once", [row], columns)
    console.print_paths(
        run=run.path,
        tensorboard=common.tensorboard_of(run),
        model=run.path / layout.MODEL,
        result=run.path / "result.json",
    )


def build_network(dataset, settings):
    """The network that the flags ask for."""
    with strategy.scope(settings):
        keras.utils.set_random_seed(settings.seed)
        return keras_kd.cifar_resnet(
            DEPTH.value,
            dataset.image_shape,
            dataset.num_classes,
            width=WIDTH.value,
            shortcuts=common.parse_shortcuts(SHORTCUTS.value),
        )


def train(model, dataset, settings, folder):
    """Trains, measures and saves; returns the result, of several hosts on the chief alone."""
    watchers = snapshots.watchers(folder, "model", model, settings)
    trained = trainer.train(model, dataset, settings, folder=folder, label="model", callbacks=watchers)
    if not strategy.is_chief(settings):
        return None
    common.write_samples(folder, dataset)
    row = evaluation.evaluate(model, dataset) | {
        "parameters": common.parameters(model),
        "seconds": trained.seconds,
    }
    serialization.save_model(model, folder / layout.MODEL)
    common.write_hparams(folder, settings, {"network": model.name}, {"model": row}, {})
    return {
        "network": model.name,
        "measured": row,
        "history": trained.history,
        **common.describe(dataset, settings),
    }


if __name__ == "__main__":
    console.run(main)
