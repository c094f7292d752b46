"""The tutorials run on tiny settings, and end in an answer."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from experiments.tutorials import no_shortcuts, your_images
from keras_kd import data
from keras_kd.cli import main
from keras_kd.data import datasets
from keras_kd.training import teacher_check
from tests.support import snippets


def test_the_folder_holds_the_digits(tmp_path):
    assert your_images.write_images(tmp_path / "images", 120) == 120
    dataset = datasets.load(f"{tmp_path / 'images'}:96")
    assert dataset.image_shape == (96, 96, 3)
    assert set(dataset.class_names) == set(your_images.NAMES)
    zero = np.asarray(Image.open(tmp_path / "images" / "zero" / "0000.jpg"))
    assert zero.shape == (your_images.FILE_SIZE, your_images.FILE_SIZE)
    assert zero[:7].max() < 30  # the border
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    your_images.write_images(tmp_path / "images", 120)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")} == before


@pytest.mark.slow
def test_the_three_commands(tmp_path, capsys):
    flags = [f"--folder={tmp_path / 'tutorial'}", "--images=300", "--epochs=1"]
    flags += ["--teacher=cifar_resnet:8:width=4", "--student=cifar_resnet:8:width=2"]
    status = main.call_command(your_images, "tutorial", flags)
    output = capsys.readouterr()
    assert status == 0, output.err
    assert output.out.count("\n$ keras-kd ") == 3
    folder = tmp_path / "tutorial"
    result = json.loads((folder / "student" / "result.json").read_text())
    assert result["networks"]["student_distilled"]["accuracy"] > 0
    assert (folder / "student" / "exported" / "student" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_a_network_without_shortcuts(capsys, monkeypatch):
    monkeypatch.setattr(data, "load", snippets.few_digits(data.load))
    monkeypatch.setattr(teacher_check, "check_teacher", lambda *arguments, **options: None)
    assert main.call_command(no_shortcuts, "tutorial", ["--depth=8", "--epochs=1"]) == 0
    output = capsys.readouterr().out
    residual, alone, _, faded = map(float, re.findall(r"([\d.]+)% of 48 test images", output))
    found = re.search(r"loses (-?[\d.]+) points; .* ends (-?[\d.]+) points below", output)
    assert [float(each) for each in found.groups()] == pytest.approx(
        [residual - alone, residual - faded], abs=0.11
    )
    assert "one seed: no interval over seeds" in output
