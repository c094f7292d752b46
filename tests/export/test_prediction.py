"""Image files as a network is asked about them, and what a file is called."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
from PIL import Image

from keras_kd.data import datasets, image_decoding, tfds_records
from keras_kd.export import prediction, sources
from keras_kd.utils import files
from tests.support.image_folders import write_image

RNG = np.random.default_rng(0)


def predictor(shape=(8, 8, 3), names=("a", "b")):
    """Its classes are whether an image is dark, or bright."""

    def probabilities(images):
        bright = images.mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - bright, bright], axis=1)

    return prediction.Predictor(pathlib.Path("a.onnx"), shape, names, probabilities)


def test_an_image_of_another_size_is_cut_and_resized_as_in_a_folder(tmp_path):
    path = tmp_path / "a.png"
    write_image(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8), path)
    np.testing.assert_array_equal(predictor().read(path), image_decoding.read(path, 8))


@pytest.mark.parametrize("extent", [(20, 30), (9, 8), (8, 13), (31, 10)])
def test_one_of_a_network_of_tensorflow_datasets_is_resized_as_they_are(tmp_path, extent):
    image = RNG.integers(0, 256, (*extent, 3), dtype=np.uint8)
    write_image(image, tmp_path / "a.png")
    for size in (8, 12):
        found = dataclasses.replace(predictor((size, size, 3)), resizing="whole").read(tmp_path / "a.png")
        expected = np.asarray(tfds_records.resized(image, size), int)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1  # a half is rounded either way


def test_a_predictor_resizes_as_the_dataset_of_its_network(npz):
    dataset = datasets.load(npz)
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    for resizing in ("centre", "whole"):
        given = dataclasses.replace(dataset, resizing=resizing)
        source = sources.Source(pathlib.Path("a.keras"), "a", network, given, {})
        assert prediction.of_source(source).resizing == resizing


def test_a_grey_image_stays_what_it_is(tmp_path):
    image = RNG.integers(0, 256, (8, 8, 1), dtype=np.uint8)
    write_image(image, tmp_path / "a.png")
    np.testing.assert_array_equal(predictor((8, 8, 1)).read(tmp_path / "a.png"), image)


def test_colours_become_their_luminance(tmp_path):
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "a.png")
    assert abs(int(predictor((8, 8, 1)).read(tmp_path / "a.png")[0, 0, 0]) - 0.299 * 255) <= 1


def test_what_cannot_be_used_is_told_and_the_others_are_answered(tmp_path):
    for name, value in (("dark", 10), ("bright", 240), ("wide", 9)):
        write_image(np.full((8, 24 if name == "wide" else 8, 3), value, np.uint8), tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("no image")
    paths = [tmp_path / f"{name}.png" for name in ("text", "dark", "bright", "none")]
    found, bad = prediction.predict(predictor(), paths, batch_size=2)
    assert [each.path.stem for each in found] == ["dark", "bright"]
    assert [each.likeliest() for each in found] == [[0], [1]]
    assert [each.reason for each in bad] == [
        "is no JPEG, PNG, BMP, GIF or WebP image",
        "cannot be opened (No such file or directory)",
    ]
    _, bad = prediction.predict(predictor((8, 16, 3)), [tmp_path / "wide.png"])
    assert str(bad[0]).startswith(f"{tmp_path}/wide.png is 24x8, and the network takes 16x8")


def test_right_answers_are_counted_where_folders_are_called_like_classes(tmp_path):
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4]])
    paths = [tmp_path / name / "x.png" for name in ("a", "b", "a", "elsewhere")]
    found = list(map(prediction.Prediction, paths, shares))
    assert prediction.right_by_folder(predictor(), found) == (2, 3)
    assert prediction.right_by_folder(predictor(names=()), found) == (0, 0)


def test_names_of_classes_stand_beside_a_file(tmp_path):
    assert prediction.class_names(tmp_path / "model.onnx") == ()
    assert prediction.resizing(tmp_path / "model.onnx") == "centre"
    assert predictor(names=()).name_of(1) == "class 1"
    files.write_json({"class_names": ["cat", "dog"]}, tmp_path / "metadata.json")
    assert prediction.class_names(tmp_path / "model.onnx") == ("cat", "dog")
    files.write_json({"files": []}, tmp_path / "export.json")  # of an older version
    assert prediction.resizing(tmp_path / "model.onnx") == "centre"
    files.write_json({"files": [], "resizing": "whole"}, tmp_path / "export.json")
    assert prediction.resizing(tmp_path / "model.onnx") == "whole"
    assert prediction.class_names(tmp_path / "model.onnx") == ("cat", "dog")


def test_outputs_beyond_the_names_of_classes_are_numbered(tmp_path):
    """As of a network that was trained with more outputs than its dataset has classes."""
    write_image(np.full((8, 8, 3), 240, np.uint8), tmp_path / "bright.png")
    found, _ = prediction.predict(predictor(names=("dark",)), [tmp_path / "bright.png"])
    assert predictor(names=("dark",)).name_of(found[0].likeliest()[0]) == "class 1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "there is no '.*none': give a run's folder, a .keras file"),
        ("empty", "empty holds no finished run of distill or train, and no exported network"),
        ("a.txt", r"the network must be a run's folder.* Received: '.*a\.txt'"),
    ],
)
def test_what_is_no_network_is_told(name, message, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        prediction.open_predictor(tmp_path / name)


@pytest.mark.parametrize("name", ["model.onnx", "model.tflite", "saved_model.pb"])
def test_a_damaged_file_of_another_runtime_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"no network of any kind")
    with pytest.raises((ValueError, OSError), match=name.replace("saved_model.pb", tmp_path.name)):
        prediction.open_predictor(tmp_path / name)


def test_a_saved_model_of_something_else_is_named(tmp_path):
    tf = pytest.importorskip("tensorflow")
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(ValueError, match=r"other/saved_model.pb cannot be read \(KeyError"):
        prediction.open_predictor(tmp_path / "other")
