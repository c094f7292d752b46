"""A network without shortcuts that is nearly as good as its residual twin, in Python.

    python -m experiments.tutorials.no_shortcuts

trains a residual network and three times its plain twin on scikit-learn's digits: alone, taught by the
residual network, and taught by it while shortcuts fade away; docs/tutorials/no-shortcuts.md shows its output.
"""

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group
from keras_kd.utils import limits


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.integer("depth", 32, "Of all networks: 8, 14, 20, ...", limits.DEPTH)
    flags.integer("epochs", 14, "Of each network.", limits.EPOCHS)
    flags.integer("seed", 0, "Of weights, order and augmentation.", limits.SEED)


def main(values):
    """Does what the flags ask for."""
    import keras

    import keras_kd
    from keras_kd import training
    from keras_kd.distillation import shortcut_removal

    data = keras_kd.data.load("digits")
    settings = training.Settings(epochs=values.epochs, seed=values.seed)

    def network(shortcuts):
        keras.utils.set_random_seed(values.seed)  # twins begin with the same weights
        shape = {"input_shape": data.image_shape, "num_classes": data.num_classes}
        return keras_kd.cifar_resnet(values.depth, **shape, width=8, shortcuts=shortcuts)

    def tell(name, model):
        accuracy = training.evaluate(model, data)["accuracy"]
        print(f"{name:<38} {accuracy:6.1%} of {len(data.test.labels)} test images", flush=True)
        return accuracy

    residual = network(shortcuts=True)
    alone, taught, faded = (network(shortcuts=False) for _ in range(3))
    print(f"with shortcuts {residual.count_params():,} weights, without {alone.count_params():,}", flush=True)

    training.train(residual, data, settings)
    twin = tell("residual network, the teacher", residual)
    training.train(alone, data, settings)
    plain = tell("plain network alone", alone)
    training.distill(residual, taught, data, settings, temperature=4.0, alpha=0.9)
    tell("plain network, taught", taught)

    fade = shortcut_removal.make("fade")  # each shortcut times a gate that goes from 1 to 0
    training.distill(residual, faded, data, settings, temperature=4.0, alpha=0.9, shortcut_removal=fade)
    end = tell("plain network, taught while they fade", faded)
    print(
        f"Without shortcuts it loses {100 * (twin - plain):.1f} points; losing them slowly while it is "
        f"taught it ends {100 * (twin - end):.1f} points below its twin (one seed: no interval over seeds)."
    )


if __name__ == "__main__":
    commands.start("no_shortcuts")
