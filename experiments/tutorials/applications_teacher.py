"""A network of keras.applications that is trained already, fine-tuned and distilled into a small one.

    python -m experiments.tutorials.applications_teacher

needs no network: in the place of ImageNet's weights, MobileNet is first trained on the digits 0 to 4. It then
gets a new classifier for the digits 5 to 9 and teaches a small ResNet. docs/tutorials/applications-teacher.md
shows its output.
"""

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group
from keras_kd.utils import limits


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("teacher", "applications:MobileNet:alpha=0.25", "The large network.")
    flags.text("student", "cifar_resnet:8:width=4", "The small one.")
    flags.integer(
        "epochs", 24, "Of the teacher; the student has two thirds.", limits.whole(2, limits.EPOCHS.high)
    )
    flags.integer("images", 0, "Of each five digits; 0: all.", limits.whole(0, limits.IMAGES.high))


def digits(classes, count):
    """These digits, enlarged to 32x32 with three channels: the least that most of keras.applications take."""
    import numpy as np
    from sklearn.datasets import load_digits

    import keras_kd

    pixels, labels = load_digits(return_X_y=True)
    pixels = np.round(pixels.reshape(-1, 8, 8, 1) * 255 / 16).astype("uint8")
    images = pixels.repeat(4, axis=1).repeat(4, axis=2).repeat(3, axis=3)
    chosen = np.flatnonzero(np.isin(labels, classes))[: count or None]
    images, labels = images[chosen], labels[chosen] - classes[0]
    of_test = np.arange(len(labels)) % 5 == 0
    return keras_kd.data.from_arrays(
        (images[~of_test], labels[~of_test]),
        test=(images[of_test], labels[of_test]),
        class_names=[str(each) for each in classes],
    )


def main(values):
    """Does what the flags ask for."""
    import keras

    from keras_kd import models, training
    from keras_kd.models import heads, registry

    recipe = {"epochs": values.epochs, "batch_size": 32, "optimizer": "adamw", "learning_rate": 0.003}
    settings = training.Settings(**recipe)
    other, yours = digits(range(5), values.images), digits(range(5, 10), values.images)

    def tell(name, model, data):
        accuracy = training.evaluate(model, data)["accuracy"]
        weights = f"{model.count_params():9,} weights"
        print(f"{name:<27}{weights} {accuracy:6.1%} of {len(data.test.labels)} test images", flush=True)
        return accuracy

    trained = registry.build_for(values.teacher, other)  # online: f"{values.teacher}:weights=imagenet"
    for layer in trained.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # 0.99 is for longer trainings than this one
    training.train(trained, other, settings)
    tell("trained on the other digits", trained, other)

    teacher = heads.with_new_classifier(trained, yours.num_classes)
    training.fine_tune(teacher, yours, settings, frozen_epochs=max(1, values.epochs // 8), unfrozen_rate=1.0)
    tell("fine-tuned: the teacher", teacher, yours)

    alone, taught = (models.build(values.student, yours.image_shape, yours.num_classes) for _ in range(2))
    taught.set_weights(alone.get_weights())
    settings = training.Settings(epochs=2 * values.epochs // 3, batch_size=32)
    training.train(alone, yours, settings)
    before = tell("student alone", alone, yours)
    training.distill(teacher, taught, yours, settings, temperature=4.0, alpha=0.9)
    after = tell("student distilled", taught, yours)
    size = taught.count_params() / teacher.count_params()
    print(
        f"The student has {size:.1%} of its teacher's weights; the teacher changed its accuracy by "
        f"{100 * (after - before):+.1f} points (one seed: no interval over seeds)."
    )


if __name__ == "__main__":
    commands.start("applications_teacher")
