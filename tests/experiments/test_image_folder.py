import json

import numpy as np

from experiments.benchmarks import image_folder
from keras_kd.data import datasets


def test_files_are_written_multiplied_and_read(npz, tmp_path, capsys, monkeypatch):
    image_folder.write(datasets.load(npz), tmp_path / "photos")
    assert np.asarray(datasets.load(tmp_path / "photos").test.images).shape == (24, 8, 8, 3)
    monkeypatch.setattr(image_folder, "BATCH", 10)
    image_folder.read_files(tmp_path / "photos", 150)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["first_batch_s"] > 0
    assert 50 < found["resident_mb"] < 100_000
    assert len(list((tmp_path / "photos-150").glob("train/*/*.jpg"))) == 150
