import json

import numpy as np
import pytest

from experiments.benchmarks import image_folder
from keras_kd.cli import main
from keras_kd.data import datasets
from tests.support.processes import error_line


def test_files_are_written_multiplied_and_read(npz, tmp_path, capsys, monkeypatch):
    image_folder.write(datasets.load(npz), tmp_path / "photos")
    assert np.asarray(datasets.load(tmp_path / "photos").test.images).shape == (24, 8, 8, 3)
    monkeypatch.setattr(image_folder, "BATCH", 10)
    image_folder.read_files(tmp_path / "photos", 150)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["first_batch_s"] > 0
    assert 50 < found["resident_mb"] < 100_000
    assert len(list((tmp_path / "photos-150").glob("train/*/*.jpg"))) == 150


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--folder must be where the images are, or are to be written. Received: None"),
        (["--folder=none"], "--folder=none is not there: give --npz, and it is written"),
        (["--folder=none", "--counts=20,many"], "--counts must be whole numbers above 0. Received: 20,many"),
    ],
)
def test_bad_flags_are_named(flags, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.call_command(image_folder, "image_folder", flags) == 1
    assert message in error_line(capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_whole_or_not_there(npz, tmp_path, monkeypatch):
    class FullDisk:
        def fromarray(self, image):
            raise OSError("no space left")

    monkeypatch.setattr(image_folder, "Image", FullDisk())
    with pytest.raises(OSError, match="no space left"):
        image_folder.there(tmp_path / "photos", npz)
    assert not (tmp_path / "photos").exists()
