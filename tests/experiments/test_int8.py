import json

import numpy as np
import pytest

from experiments.benchmarks import int8
from keras_kd.cli import main
from keras_kd.data import datasets
from keras_kd.export import parity
from keras_kd.models import serialization
from keras_kd.utils import files
from tests.support.arrays import tiny_arrays
from tests.support.networks import left_of
from tests.support.processes import error_line


def row(accuracy, change, same_class):
    files = [parity.Parity(0.1, *each, 50) for each in zip(same_class, np.divide(change, 100), strict=True)]
    return int8.Quantised(accuracy, *files)


def test_a_row_is_means_and_an_interval_over_seeds():
    """With three seeds t is 4.303: here 4.303 * 1 / sqrt(3) on each side."""
    rows = [row(0.5 + share, (-share * 10, -1 - share * 10), (0.9, 0.8)) for share in (0.0, 0.1, 0.2)]
    assert int8.summary(rows) == {
        "seeds": "3",
        "accuracy, %": "60.0",
        "dynamic_range, points": "-1.00 [-3.48, 1.48]",
        "dynamic_range, same class, %": "90.0",
        "full_integer, points": "-2.00 [-4.48, 0.48]",
        "full_integer, same class, %": "80.0",
    }
    assert int8.summary(rows[:1])["full_integer, points"] == "-1.00"


def study_with(folder, **networks):
    """A study's folder with its data and networks; those named `unfinished...` have no result."""
    np.savez(folder / "tiny.npz", **tiny_arrays(np.random.default_rng(0)))
    dataset = datasets.load(str(folder / "tiny.npz"))
    splits = ("train", "validation", "test")
    described = {
        "name": "tiny.npz",
        "fingerprint": dataset.fingerprint,
        "split_seed": dataset.split_seed,
        "examples": {split: len(getattr(dataset, split).labels) for split in splits},
    }
    identity = {"dataset": described, "validation_fraction": 0.1}
    files.write_json({"identity": identity}, folder / "study" / "study.json")
    for name, network in networks.items():
        run = folder / "study" / "runs" / name.replace("_", "-")
        serialization.save_model(network, run / "model.keras")
        if not name.startswith("unfinished"):
            files.write_json({}, run / "result.json")
    return dataset


@pytest.mark.slow  # LiteRT converts twice
def test_networks_of_a_study_are_measured_in_8_bits(tmp_path, monkeypatch, capsys):
    network = left_of("merge")
    dataset = study_with(tmp_path, unfinished_s0=network, p8_merge_s0=network)
    monkeypatch.chdir(tmp_path)
    assert main.call_command(int8, "int8", ["--study=study", "--out=int8.json"]) == 0
    output = capsys.readouterr().out
    found = json.loads((tmp_path / "int8.json").read_text())["networks"]
    assert list(found) == ["p8-merge"]
    (row,) = found["p8-merge"]
    images = (dataset.test.images / 255 - dataset.mean) / dataset.std
    classes = np.array(network(images.astype("float32"), training=False)).argmax(axis=1)
    assert row["accuracy"] == pytest.approx(np.mean(classes == dataset.test.labels))
    for kind in int8.KINDS:
        assert row[kind]["images"] == len(classes)
        assert abs(row[kind]["accuracy_change"]) <= 1 - row[kind]["same_class"] + 1e-9
        assert 1e-5 < row[kind]["max_logit_difference"] < 0.5
    assert f"On {len(classes)} test images" in output


def test_runs_are_finished_ones_of_the_names_asked_for(tmp_path):
    network = left_of("merge")
    study_with(tmp_path, p8_merge_s0=network, p8_fade_s0=network, unfinished_merge_s0=network)

    def names(*named):
        return [path.parent.name for path in int8.finished(tmp_path / "study", *named)]

    assert names() == ["p8-fade-s0", "p8-merge-s0"]
    assert names("*merge*") == ["p8-merge-s0"]
    assert names("p32*") == []


def test_a_folder_without_a_study_or_a_finished_run_is_refused(tmp_path, monkeypatch, capsys):
    files.write_json({"identity": {}}, tmp_path / "study" / "study.json")
    monkeypatch.chdir(tmp_path)
    for flags, message in (
        ([], "--study must be the folder of a study. Received: None"),
        (["--study=none"], "--study must be the folder of a study. Received: 'none'"),
        (["--study=study"], "no run of study named * is finished"),
    ):
        assert main.call_command(int8, "int8", flags) == 1
        assert message in error_line(capsys.readouterr().err)
