"""The student as files for other runtimes, each asked about all test images: which one to ship.

    python -m experiments.tutorials.ship_it

takes a run of `distill` (and makes a small one if there is none), types `export`, and counts what every file
gets right. docs/tutorials/ship-it.md has what it prints.
"""

import pathlib

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("run", "runs/tutorial-ship", "Folder of a run of distill.")
    flags.text("dataset", "digits", "On which it was trained.")


def main(values):
    """Does what the flags ask for."""
    import keras_kd
    from keras_kd.export import litert, onnx

    run = pathlib.Path(values.run)
    if not (run / "result.json").exists():
        sizes = ["--teacher_depth=14", "--student_depth=8", "--epochs=10", "--shortcut_removal=none"]
        commands.type_command("distill", *sizes, "--snapshots=0", f"--out={run}")
    commands.type_command("export", f"--model={run / 'student.keras'}", "--formats=litert,onnx")

    test = keras_kd.data.load(values.dataset).test
    student = run / "student.keras"
    model = keras_kd.models.serialization.load_model(student)
    keras_accuracy = keras_kd.training.evaluate(model, keras_kd.data.load(values.dataset))["accuracy"]
    print(f"\n{'student.keras':<28}{kilobytes(student):5} kB {keras_accuracy:7.1%}")
    good = []
    for path in sorted((run / "exported" / "student").glob("model*")):
        answer = (onnx if path.suffix == ".onnx" else litert).session(path)
        accuracy = (answer(test.images).argmax(axis=-1) == test.labels).mean()
        print(f"{path.name:<28}{kilobytes(path):5} kB {accuracy:7.1%}")
        if accuracy >= keras_accuracy - 1 / len(test.labels):
            good.append(path)
    smallest = min(good, key=kilobytes)
    print(
        f"Ship {smallest.name}: the smallest of those that are right on as many of {len(test.labels)} images "
        "as the Keras model, or on one less."
    )


def kilobytes(path):
    """The size of a file."""
    return round(path.stat().st_size / 1000)


if __name__ == "__main__":
    commands.start("ship_it")
