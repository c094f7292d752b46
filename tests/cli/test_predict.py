"""`predict`, on the folder of a run."""

import json
import os
import pathlib
import re

import numpy as np
import pytest

from keras_kd.export import prediction
from keras_kd.utils import progress
from tests.support import golden
from tests.support.commands import call
from tests.support.image_folders import write_image
from tests.support.runs import finished_run


class Brightness:
    """An answer for each image: how dark, and how bright it is; of classes with names of any bytes."""

    def __call__(self, *_):
        names = ("dark", os.fsdecode(b"bright \xff"))
        return prediction.Predictor(pathlib.Path("a.onnx"), (8, 8, 3), names, self.probabilities)

    def probabilities(self, images):
        bright = images.mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - bright, bright], axis=1)


def test_a_name_of_any_bytes_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction, "open_predictor", Brightness())
    for name, value in ((b"good.png", 0), (b"no text \xff.png", 255), (b"._good.png", 0), (b".bad.png", 0)):
        write_image(np.full((8, 8, 3), value, np.uint8), tmp_path / "images" / os.fsdecode(name))
    paths = ["images/good.png", r"images/no text \xff.png"]
    status, output, errors = call("predict", "a.onnx", "images", "--json", cwd=tmp_path)
    assert (status, errors, [each["image"] for each in json.loads(output)]) == (0, "", paths)
    status, output, errors = call("predict", "a.onnx", "images", cwd=tmp_path)
    assert (status, errors) == (0, "")
    assert all(path in output.encode().decode() for path in paths)
    path = os.fsdecode(b"images/no text \xff.png")
    status, output, errors = call("predict", "a.onnx", path, cwd=tmp_path)
    assert output.startswith(rf"{paths[1]} shows bright \xff, the network says: 100.0%.")


def test_with_json_nothing_else_is_on_stdout(tmp_path, monkeypatch):
    def open_predictor(*_):
        progress.say("pixels are scaled as 'unit'")
        return Brightness()()

    monkeypatch.setattr(prediction, "open_predictor", open_predictor)
    write_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png")
    status, output, errors = call("predict", "a.onnx", "a.png", "--json", cwd=tmp_path)
    assert (status, errors) == (0, "pixels are scaled as 'unit'\n")
    assert [each["class"] for each in json.loads(output)] == ["dark"]
    _, output, errors = call("predict", "a.onnx", "a.png", cwd=tmp_path)
    assert (output.partition("\n")[0], errors) == ("pixels are scaled as 'unit'", "")


@pytest.fixture(scope="module")
def cwd(tmp_path_factory):
    """A run, and its test images as files in folders of their classes."""
    folder, _ = finished_run(tmp_path_factory)
    with np.load(folder / "tiny.npz") as arrays:
        for place, (image, label) in enumerate(zip(arrays["x_test"], arrays["y_test"], strict=True)):
            write_image(image, folder / "images" / str(label) / f"{place:02d}.png")
    return folder


@pytest.mark.slow  # a whole run
def test_what_the_terminal_shows_is_the_measured_accuracy(cwd):
    result = json.loads((cwd / "runs/first/result.json").read_text())
    for network, label in (("runs/first", "student_distilled"), ("runs/first/teacher.keras", "teacher")):
        images = [f"images/{label}" for label in range(4)]
        status, output, errors = call("predict", network, *images, cwd=cwd)
        assert (status, errors) == (0, "")
        accuracy = result["networks"][label]["accuracy"]
        assert output.startswith(f"Right on {round(24 * accuracy)} of 24 images ({accuracy:.1%})")
        path = "runs/first/student.keras" if network == "runs/first" else network
        assert output.endswith(f"next: keras-kd export --model={path}\n")
    golden.check("predict", output)
    moved = ("--dataset=tiny.npz", "--data_dir=there")
    _, output, _ = call("predict", network, *images, *moved, cwd=cwd)
    assert output.endswith(f"next: keras-kd export --model={network} {' '.join(moved)}\n")


@pytest.mark.slow  # a whole run
def test_one_image_is_answered_in_a_sentence_and_in_json(cwd):
    path = "images/2/02.png"
    status, output, _ = call("predict", "runs/first", path, "--json", cwd=cwd)
    (found,) = json.loads(output)
    assert list(found["probabilities"]) == ["0", "1", "2", "3"]
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    likeliest = max(found["probabilities"], key=found["probabilities"].get)
    assert (status, found["image"], found["class"]) == (0, path, likeliest)
    assert found["probability"] == found["probabilities"][likeliest]
    status, output, _ = call("predict", "runs/first", path, cwd=cwd)
    assert output.startswith(f"{path} shows {likeliest}, the network says: {found['probability']:.1%}.\n")


@pytest.mark.slow  # a whole run
def test_what_cannot_be_is_one_line(cwd):
    (cwd / "text.png").write_text("no image")
    status, output, errors = call("predict", "runs/first", "text.png", "images/0/00.png", cwd=cwd)
    assert status == 1
    assert "images/0/00.png shows" in output
    assert errors == (
        "error: 1 of 2 images cannot be used: text.png is no JPEG, PNG, BMP, GIF or WebP image\n"
    )
    for arguments, message in (
        (["runs/first"], "give a network and images, as in keras-kd predict .* Received: runs/first"),
        (["runs/none", "text.png"], "there is no 'runs/none'"),
        (["tiny.npz", "text.png"], "the network must be a run's folder"),
    ):
        status, output, errors = call("predict", *arguments, cwd=cwd)
        assert (status, output, errors.count("\n")) == (1, "", 1)
        assert re.search(message, errors)
