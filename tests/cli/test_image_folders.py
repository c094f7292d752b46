"""Commands on a folder of images, one of which is bad."""

import json

import pytest

from tests.support.commands import call
from tests.support.image_folders import write_folder

TRAIN = ("--dataset=photos:8", "--out=runs/first", "--epochs=1", "--batch_size=24", "--strategy=none")
TRAIN += ("--student_depth=8", "--student_width=4", "--snapshots=0")


TOLD = "photos/test/class1/0005.png is no JPEG, PNG, BMP, GIF or WebP image"


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("train", ("--student_depth=8", "--student_width=4")),
        ("distill", ("--student_depth=8", "--teacher_depth=8")),
        ("distill", ("--student_depth=8", "--teacher_depth=8", "--seeds=2")),
        ("search", ()),
        ("study", ("--study=depth", "--seeds=1", "--depths=20", "--student_width=4")),
    ],
)
def test_a_bad_test_image_is_met_before_anything_is_trained(tmp_path, command, given):
    """Once it is another image, or none, a training that was begun cannot go on."""
    pytest.importorskip("tensorflow")
    folder = write_folder(tmp_path / "photos")
    (folder / "test" / "class1" / "0005.png").write_text("no image")
    given = ("--dataset=photos:8", "--out=runs/first", "--epochs=1", "--batch_size=24", *given)
    status, _, errors = call(command, *given, cwd=tmp_path)
    assert status == 1
    assert TOLD in errors.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_bad_image_is_named_and_the_run_goes_on_without_it(tmp_path):
    folder = write_folder(tmp_path / "photos")
    (folder / "test" / "class1" / "0005.png").write_text("no image")
    status, _, errors = call("train", *TRAIN, cwd=tmp_path)
    assert status == 1
    assert errors.splitlines()[-1] == (
        "error: photos/test/class1/0005.png is no JPEG, PNG, BMP, GIF or WebP image: put a whole image in "
        "its place, or take it away; or give the same command with --skip_bad_images, which goes on without "
        "it"
    )
    assert not (tmp_path / "runs" / "first" / "result.json").exists()
    status, output, errors = call(
        "train",
        *TRAIN,
        "--skip_bad_images",
        "--cache=disk",
        f"--cache_dir={tmp_path / 'cache'}",
        cwd=tmp_path,
    )
    assert status == 0, errors
    assert "another image of its class stands in for it" in output
    result = json.loads((tmp_path / "runs" / "first" / "result.json").read_text())
    assert result["bad_images"] == {"photos/test/class1/0005.png": "is no JPEG, PNG, BMP, GIF or WebP image"}
    assert result["dataset"]["image_shape"] == [8, 8, 3]
