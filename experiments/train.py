"""Trains one network on the labels alone.

    python -m experiments.train --depth=20

writes `model.keras`, which `experiments.distill --teacher=` takes.
"""

import keras
from absl import flags

import keras_kd
from experiments import common
from keras_kd import storage, training

DEPTH = flags.DEFINE_integer("depth", 20, "6n+2.")
WIDTH = flags.DEFINE_integer("width", 16, "Channels of the first stage.")
SHORTCUTS = flags.DEFINE_string("shortcuts", "all", "'none', 'all' or 1,0,1,...")


def main():
    settings = common.settings()
    dataset = common.load_dataset()
    with training.scope(settings):
        keras.utils.set_random_seed(settings.seed)
        model = keras_kd.cifar_resnet(
            DEPTH.value,
            dataset.image_shape,
            dataset.num_classes,
            width=WIDTH.value,
            shortcuts=common.parse_shortcuts(SHORTCUTS.value),
        )
    folder = common.open_run("train")

    common.write_samples(folder, dataset)
    trained = training.train(model, dataset, settings, folder=folder, label="model")
    row = training.evaluate(model, dataset) | {
        "parameters": common.parameters(model),
        "seconds": trained.seconds,
    }
    storage.save_model(model, folder / "model.keras")
    common.write_hparams(folder, settings, {"network": model.name}, {"model": row}, {})
    columns = ("network", "test accuracy", "test loss", "parameters", "seconds")
    common.print_table("On test, touched once", [common.network_row(model.name, row)], columns)
    common.print_paths(
        run=folder,
        tensorboard=folder / "tensorboard",
        model=folder / "model.keras",
        result=common.write_result(folder, dataset, settings, network=model.name, measured=row),
    )


if __name__ == "__main__":
    common.run(main)
