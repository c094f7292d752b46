"""`predict`, on the folder of a run."""

import json
import re

import numpy as np
import pytest

from tests.support import golden
from tests.support.commands import call
from tests.support.image_folders import write_image
from tests.support.runs import finished_run

pytestmark = pytest.mark.slow  # a whole run


@pytest.fixture(scope="module")
def cwd(tmp_path_factory):
    """A run, and its test images as files in folders of their classes."""
    folder, _ = finished_run(tmp_path_factory)
    with np.load(folder / "tiny.npz") as arrays:
        for place, (image, label) in enumerate(zip(arrays["x_test"], arrays["y_test"], strict=True)):
            write_image(image, folder / "images" / str(label) / f"{place:02d}.png")
    return folder


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
