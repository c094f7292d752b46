"""From a folder of JPEGs to an exported student of 96x96 images, in three commands.

    python -m experiments.tutorials.your_images

writes scikit-learn's 1,797 digits, enlarged, as `runs/tutorial/images/CLASS/*.jpg`. Then it calls and prints
the commands that do the same with a folder of your own: `train` a teacher, `distill` it into a student with a
quarter of its weights, `export` the student. docs/tutorials/your-images.md has what it prints.
"""

import pathlib

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from experiments.tutorials import commands
from keras_kd.cli.flags import COMMON, Group
from keras_kd.utils import limits

SIZE = 96  # of what the networks see

# Of the files: of an image the square in the middle is taken, 0.875 of the shorter side.
FILE_SIZE = 110

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def define_flags(values):
    """Defines the flags on an `absl.flags.FlagValues`."""
    flags = Group(values, COMMON)
    flags.text("folder", "runs/tutorial", "Gets the images and the runs.")
    flags.integer("images", 0, "How many; 0: all.", limits.whole(0, limits.IMAGES.high))
    flags.integer("epochs", 8, "Of each network.", limits.EPOCHS)
    flags.text("teacher", "imagenet_resnet:18:width=16", "The network that is trained first.")
    flags.text("student", "imagenet_resnet:18:width=8", "The network that it teaches.")


def main(values):
    """Does what the flags ask for."""
    folder = pathlib.Path(values.folder)
    count = write_images(folder / "images", values.images)
    print(f"{count:,} images in {folder / 'images'}", flush=True)
    for name, *arguments in lines(folder, values):
        commands.type_command(name, *arguments)


def lines(folder, values):
    """The three commands, each its name and its flags."""
    common = [f"--dataset={folder / 'images'}:{SIZE}", "--cache=memory", f"--epochs={values.epochs}"]
    common += ["--augmentation=crop", "--snapshots=0"]  # a mirrored digit is another one
    teacher, student = folder / "teacher", folder / "student"
    yield "train", *common, f"--student={values.teacher}", f"--out={teacher}"
    yield (
        "distill",
        *common,
        f"--teacher={teacher / 'model.keras'}",
        f"--student={values.student}",
        "--shortcut_removal=none",
        "--teacher_views=2",
        f"--teacher_logits={folder / 'teacher_logits'}",
        f"--out={student}",
    )
    yield "export", f"--model={student / 'student.keras'}", "--formats=saved_model,litert"


def write_images(folder, count=0):
    """Writes the digits as JPEGs, `folder/CLASS/NUMBER.jpg`, those that are not there; returns how many.

    Args:
      folder: a path.
      count: of images, the first ones; 0: all.
    """
    digits = load_digits()
    border = (FILE_SIZE - SIZE) // 2
    count = count or len(digits.images)
    for number, (pixels, label) in enumerate(zip(digits.images[:count], digits.target, strict=False)):
        path = folder / NAMES[label] / f"{number:04d}.jpg"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(np.round(pixels * 255 / 16).astype(np.uint8)).resize((SIZE, SIZE))
        whole = Image.new("L", (FILE_SIZE, FILE_SIZE))
        whole.paste(image, (border, border))
        whole.save(path, quality=90)
    return count


if __name__ == "__main__":
    commands.start("your_images")
