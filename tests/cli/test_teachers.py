"""A teacher from elsewhere, by flags: its size, pixels and classes; what is said where it knows nothing."""

import json

import keras
import numpy as np
import pytest

from keras_kd.distillation import teacher_inputs
from keras_kd.models import load_model
from keras_kd.training import config
from tests.support.colours import colour_teacher, coloured
from tests.support.commands import call
from tests.support.processes import error_line

SMALL = ("--dataset=colours.npz", "--epochs=1", "--batch_size=24", "--strategy=none", "--jobs=1")
SIZES = ("--student_depth=8", "--student_width=4", "--shortcut_removal=none", "--snapshots=0")
PLACES = (4, 0, 5, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With 8x8 images of four classes, and a teacher of others: 12x12, of -1 to 1, with six outputs."""
    cwd = tmp_path_factory.mktemp("teachers")
    splits = {
        "train": coloured(72, (8, 8, 3)),
        "val": coloured(120, (8, 8, 3), seed=1),
        "test": coloured(24, (8, 8, 3), seed=2),
    }
    arrays = {f"x_{name}": split.images for name, split in splits.items()}
    np.savez(cwd / "colours.npz", **arrays, **{f"y_{name}": split.labels for name, split in splits.items()})
    teacher = colour_teacher(
        lambda pixels: 10 * (pixels / 127.5 - 1), PLACES, outputs=6, activation="softmax"
    )
    images = keras.Input((12, 12, 3))
    ten = keras.Model(images, teacher(10 * images), name="tuned")
    ten.save(cwd / "teacher.keras")
    (cwd / "map.json").write_text(json.dumps(dict(zip("0123", PLACES, strict=True))))
    (cwd / "wrong.csv").write_text("0,0\n1,1\n2,2\n3,3\n")
    return cwd


def test_the_flag_has_what_the_library_has():
    assert ("auto", *teacher_inputs.PREPROCESSINGS) == config.TEACHER_PREPROCESSINGS


@pytest.mark.slow
def test_a_teacher_of_other_images_and_more_classes_teaches(folder):
    flags = ("--teacher=teacher.keras", "--class_map=map.json", "--teacher_views=1", "--out=runs/taught")
    status, output, errors = call("distill", *SMALL, *SIZES, *flags, cwd=folder)
    assert status == 0, errors
    assert "teacher 'tuned': asked about images of 12x12x3, scaled as 'minus_one_one' (right on " in output
    assert "; 4 of its 6 outputs: '0' <- 4, '1' <- 0, '2' <- 5, '3' <- 2" in output
    result = json.loads((folder / "runs" / "taught" / "result.json").read_text())
    assert result["networks"]["teacher"]["accuracy"] > 0.95
    assert load_model(folder / "runs" / "taught" / "teacher.keras").input_shape == (None, 8, 8, 3)
    trusted = ("--teacher=teacher.keras", "--class_map=wrong.csv", "--teacher_views=1", "--trust_teacher")
    status, output, errors = call("distill", *SMALL, *SIZES, *trusted, "--out=runs/trusted", cwd=folder)
    assert status == 0, errors
    assert sum("it is trusted" in line for line in output.splitlines()) == 1
    caches = [path for path in (folder / "runs" / "teacher_logits").iterdir() if path.is_dir()]
    assert len(caches) == 2


def test_a_teacher_at_chance_is_refused_and_leaves_no_run(folder):
    flags = ("--teacher=teacher.keras", "--class_map=wrong.csv", "--out=runs/wrong")
    status, _, errors = call("distill", *SMALL, *SIZES, *flags, cwd=folder)
    assert status == 1
    assert "no better than chance" in error_line(errors)
    assert not (folder / "runs" / "wrong" / "flags.cfg").exists()


def test_a_preprocessing_that_does_not_suit_is_refused(folder):
    flags = ("--teacher=teacher.keras", "--class_map=map.json", "--teacher_preprocessing=none", "--out=x")
    status, _, errors = call("distill", *SMALL, *SIZES, *flags, cwd=folder)
    assert status == 1
    assert "with teacher_preprocessing='none', and on " in error_line(errors)
    assert error_line(errors).endswith("with 'minus_one_one': take that, or trust_teacher")
