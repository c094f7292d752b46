import dataclasses
import os

import keras
import numpy as np
import pytest

from keras_kd.data import datasets, lazy_images, npz, tfds
from tests.support.arrays import tiny_arrays


def test_digits_are_stratified_and_test_is_the_same_for_every_seed():
    first, second = datasets.load("digits", seed=0), datasets.load("digits", seed=1)
    assert [len(split.labels) for split in (first.train, first.validation, first.test)] == [1293, 144, 360]
    np.testing.assert_array_equal(first.test.images, second.test.images)
    assert not np.array_equal(first.validation.images, second.validation.images)
    for split in (first.train, first.validation, first.test):
        shares = np.bincount(split.labels) / len(split.labels)
        np.testing.assert_allclose(shares, 0.1, atol=0.01)
    assert first.image_shape == (8, 8, 1)
    assert first.class_names == tuple("0123456789")
    assert not first.flips
    assert (first.train.images.dtype, first.train.images.max()) == (np.uint8, 255)


@pytest.mark.parametrize("name", ["digits", "tiny"])
def test_no_example_is_in_two_splits(npz, name):
    dataset = datasets.load(npz if name == "tiny" else name)
    splits = (dataset.train, dataset.validation, dataset.test)
    assert sum(len(split.labels) for split in splits) == (104 if name == "tiny" else 1797)
    train, validation, test = ({image.tobytes() for image in split.images} for split in splits)
    assert not train & validation | train & test | validation & test


def test_normalisation_is_computed_on_train_alone(npz):
    dataset = datasets.load(npz)
    pixels = dataset.train.images.astype(np.float64) / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.std, pixels.std(axis=(0, 1, 2)), rtol=1e-6)


def test_a_constant_channel_does_not_divide_by_zero(tmp_path, rng):
    arrays = tiny_arrays(rng)
    for key in ("x_train", "x_test"):
        arrays[key][..., 0] = 7
    np.savez(tmp_path / "data.npz", **arrays)
    assert datasets.load(tmp_path / "data.npz").std[0] == 1


def test_the_fingerprint_differs_with_a_pixel_a_label_or_a_split(npz, tmp_path, rng):
    dataset = datasets.load(npz)
    assert dataset.fingerprint == datasets.load(npz).fingerprint
    assert dataset.fingerprint != datasets.load(npz, seed=1).fingerprint
    arrays = tiny_arrays(rng)
    arrays["x_test"][0, 0, 0, 0] ^= 1
    np.savez(tmp_path / "other.npz", **arrays)
    assert dataset.fingerprint != datasets.load(tmp_path / "other.npz").fingerprint


def test_the_fingerprint_differs_with_what_normalises_and_with_flips(npz):
    dataset = datasets.load(npz)
    given = dataclasses.replace(dataset, moments_of=dataset.test.images)
    others = [given, dataclasses.replace(dataset, moments_of=dataset.test.images[:5])]
    others += [dataclasses.replace(dataset, flips=not dataset.flips), dataset]
    assert len({each.fingerprint for each in others}) == 4
    assert len({each.examples_fingerprint for each in others}) == 1


def test_npz_takes_grey_images_column_labels_and_its_own_validation(tmp_path, rng):
    arrays = tiny_arrays(rng, shape=(9, 8))
    arrays = {key: value.reshape(-1, 1) if key[0] == "y" else value for key, value in arrays.items()}
    arrays |= {"x_val": arrays["x_test"][:8], "y_val": arrays["y_test"][:8]}
    np.savez(tmp_path / "data.npz", **arrays)
    dataset = datasets.load(tmp_path / "data.npz")
    assert dataset.image_shape == (9, 8, 1)
    assert (len(dataset.train.labels), len(dataset.validation.labels)) == (80, 8)
    assert not dataset.flips
    assert dataset.num_classes == 4


def changed(arrays, key, change):
    return {**arrays, key: change(arrays[key])}


BAD_NPZ = {
    "missing key": (lambda a: {k: v for k, v in a.items() if k != "y_test"}, "has no array 'y_test'"),
    "float images": (lambda a: changed(a, "x_train", lambda x: x / 255), "must be uint8.*float64"),
    "flat images": (lambda a: changed(a, "x_train", lambda x: x.reshape(80, -1)), r"must be uint8 \[n, h"),
    "float labels": (lambda a: changed(a, "y_train", lambda y: y / 1), "must be integers.*float64"),
    "one-hot labels": (lambda a: changed(a, "y_train", lambda y: np.eye(4, dtype=int)[y]), "integers"),
    "lengths": (lambda a: changed(a, "y_train", lambda y: y[:-1]), "equally long.*80 and 79"),
    "empty": (lambda a: a | {"x_test": a["x_test"][:0], "y_test": a["y_test"][:0]}, "not empty"),
    "negative": (lambda a: changed(a, "y_train", lambda y: y - 1), "Received: labels -1 to 2"),
    "huge": (lambda a: changed(a, "y_train", lambda y: y * 10**13), "no example of class 1"),
    "two channels": (lambda a: a | {k: a[k][..., :2] for k in ("x_train", "x_test")}, "1 or 3 channels"),
    "range": (lambda a: changed(a, "y_test", lambda y: y + 9), "0 to 3.*Received: 9 to 12"),
    "gap": (lambda a: changed(a, "y_train", lambda y: np.where(y == 2, 3, y)), "no example of class 2"),
    "shapes": (lambda a: changed(a, "x_test", lambda x: x[:, :-1]), "one shape"),
    "channels first": (
        lambda a: a | {k: np.moveaxis(a[k], -1, 1) for k in ("x_train", "x_test")},
        r"the train images have their channels first.*moveaxis\(images, 1, -1\). Received: \[80, 3, 8, 8\]",
    ),
    "grey channels first": (
        lambda a: a | {k: a[k][:, None, ..., 0] for k in ("x_train", "x_test")},
        r"channels first.*Received: \[80, 1, 8, 8\]",
    ),
    "half a validation split": (lambda a: a | {"x_val": a["x_test"]}, "has no array 'y_val'"),
    "no training labels": (
        lambda a: {k: a[k] for k in ("x_train", "x_test", "y_test")},
        "no array 'y_train'",
    ),
    "objects": (lambda a: changed(a, "y_train", lambda y: y.astype(object)), "pickled objects"),
    "one of a class": (
        lambda a: {k: np.minimum(np.arange(len(v)), 1) if k[0] == "y" else v for k, v in a.items()},
        "stratified",
    ),
    "one class": (lambda a: a | {k: a[k] * 0 for k in ("y_train", "y_test")}, "at least two classes"),
}


@pytest.mark.parametrize("case", BAD_NPZ)
def test_bad_npz_is_named(tmp_path, rng, case):
    spoil, message = BAD_NPZ[case]
    path = tmp_path / "bad.npz"
    np.savez(path, **spoil(tiny_arrays(rng)))
    with pytest.raises(ValueError, match=message):
        datasets.load(path)


def test_images_that_would_fill_the_memory_stay_in_the_file(tmp_path, rng, monkeypatch):
    for shape in ((8, 8, 3), (9, 8)):
        np.savez(tmp_path / "data.npz", **tiny_arrays(rng, shape=shape))
        expected = datasets.load(tmp_path / "data.npz")
        monkeypatch.setattr(npz, "IN_MEMORY", 0)
        found = datasets.load(tmp_path / "data.npz")
        monkeypatch.undo()
        assert lazy_images.is_lazy(found.train.images)
        for split in ("train", "validation", "test"):
            index = np.array([5, 2, 7])
            images = getattr(expected, split).images
            np.testing.assert_array_equal(getattr(found, split).images[index], images[index])
            np.testing.assert_array_equal(np.asarray(getattr(found, split).images), images)
        assert found.fingerprint == expected.fingerprint
        np.testing.assert_array_equal([found.mean, found.std], [expected.mean, expected.std])
        os.utime(tmp_path / "data.npz", ns=(0, 0))
        with pytest.raises(ValueError, match="data.npz was changed since it was opened: load its data again"):
            found.train.images[0]


def test_a_compressed_file_that_would_fill_the_memory_is_refused(tmp_path, rng, monkeypatch):
    np.savez_compressed(tmp_path / "data.npz", **tiny_arrays(rng))
    monkeypatch.setattr(npz, "IN_MEMORY", 0)
    with pytest.raises(ValueError, match="does not fit into memory .*saved by numpy.savez, which does not"):
        datasets.load(tmp_path / "data.npz")


def test_a_file_without_a_test_split_gets_one_cut_off_the_same_for_every_seed(tmp_path, rng, capsys):
    arrays = {key: value for key, value in tiny_arrays(rng).items() if key.endswith("train")}
    np.savez(tmp_path / "data.npz", **arrays)
    first, second = (datasets.load(tmp_path / "data.npz", seed=seed) for seed in (0, 1))
    assert [len(split.labels) for split in (first.train, first.validation, first.test)] == [57, 7, 16]
    np.testing.assert_array_equal(first.test.images, second.test.images)
    np.testing.assert_array_equal(np.bincount(first.test.labels), [4, 4, 4, 4])
    assert "has no test split: 16 of its training examples are set aside" in capsys.readouterr().out


def test_what_nobody_needs_is_not_read(tmp_path, rng):
    np.savez(
        tmp_path / "data.npz", **tiny_arrays(rng), names=np.array(["a", None], object), x_extra=np.ones(3)
    )
    assert len(datasets.load(tmp_path / "data.npz").test.labels) == 24


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits:16", "the digits have one size, 8x8: give 'digits'. Received: 'digits:16'"),
        ("Digits", "small letters: give 'digits'. Received: 'Digits'"),
        ("CIFAR10", "did you mean cifar10"),
        ("Cifar_10", "did you mean cifar10"),
        ("digts", "did you mean digits"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(name, message, tmp_path):
    if message.startswith("did"):
        pytest.importorskip("tensorflow_datasets")
    with pytest.raises(ValueError, match=message):
        datasets.load(name, data_dir=tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 3000])
def test_a_truncated_npz_is_named(npz, keep):
    npz.write_bytes(npz.read_bytes()[:keep])
    with pytest.raises(ValueError, match="truncated"):
        datasets.load(npz)


def test_a_corrupt_compressed_file_is_named(tmp_path, rng):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, **tiny_arrays(rng))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="truncated"):
        datasets.load(path)


def test_a_single_array_is_named(tmp_path):
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="holds one array"):
        datasets.load(tmp_path / "data.npz")


def test_a_file_with_a_flipped_byte_is_named(npz):
    content = bytearray(npz.read_bytes())
    content[2000] ^= 255
    npz.write_bytes(content)
    with pytest.raises(ValueError, match="truncated"):
        datasets.load(npz)


def test_a_missing_file_and_a_wrong_fraction_are_named(tmp_path, npz):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        datasets.load(tmp_path / "none.npz")
    for fraction in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="validation_fraction must lie in"):
            datasets.load(npz, validation_fraction=fraction)


@pytest.mark.parametrize(
    ("name", "flips"), [("photos.npz", True), ("my_mnist.npz", False), ("SVHN_cropped.npz", False)]
)
def test_writing_is_not_mirrored(tmp_path, rng, name, flips):
    np.savez(tmp_path / name, **tiny_arrays(rng))
    assert datasets.load(tmp_path / name).flips == flips


needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tensorflow-datasets needs TensorFlow"
)


@needs_tensorflow
@pytest.mark.parametrize("name", ["tiny_squares", "tiny_pictures:8"])
def test_tensorflow_datasets_by_name(tiny_pictures, tmp_path, name):
    for builder in tiny_pictures:
        builder(data_dir=tmp_path).download_and_prepare()
    dataset = datasets.load(name, data_dir=tmp_path)
    assert dataset.class_names == ("dark", "light")
    assert dataset.image_shape == (8, 8, 3)
    assert dataset.resizing == ("whole" if ":" in name else "centre")
    assert [len(s.labels) for s in (dataset.train, dataset.validation, dataset.test)] == [28, 4, 8]
    for split in (dataset.train, dataset.validation, dataset.test):
        np.testing.assert_array_equal(split.images[:, 0, 0, 0] > 100, split.labels == 1)


@needs_tensorflow
def test_tensorflow_datasets_by_index(tiny_pictures, tmp_path):
    for builder in tiny_pictures:
        builder(data_dir=tmp_path / "records", file_format="array_record").download_and_prepare()
    tiny_pictures[0](data_dir=tmp_path).download_and_prepare()
    options = {"data_dir": tmp_path / "records", "cache_dir": tmp_path / "cache"}
    for name, cache in (("tiny_squares", "none"), ("tiny_pictures:8", "disk")):
        expected = datasets.load(name, data_dir=tmp_path / "records")
        for _ in range(2):
            found = datasets.load(name, cache=cache, **options)
            assert lazy_images.is_lazy(found.train.images)
            for split in ("train", "validation", "test"):
                images, labels = getattr(expected, split)
                np.testing.assert_array_equal(np.asarray(getattr(found, split).images), images)
                np.testing.assert_array_equal(getattr(found, split).labels, labels)
                np.testing.assert_array_equal(images[:, 0, 0, 0] > 100, labels == 1)
    with pytest.raises(ValueError, match="prepared as tfrecord, which cannot be read by index"):
        datasets.load("tiny_pictures:8", data_dir=tmp_path, cache="none")


@needs_tensorflow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny_pictures", "different sizes.*'tiny_pictures:64'"),
        ("tiny_squares:x", "after ':'.*tiny_squares:x"),
    ],
)
def test_sizes_of_tensorflow_datasets(tiny_pictures, tmp_path, name, message):
    for builder in tiny_pictures:
        builder(data_dir=tmp_path).download_and_prepare()
    with pytest.raises(ValueError, match=message):
        datasets.load(name, data_dir=tmp_path)


@needs_tensorflow
def test_an_unknown_name_lists_choices():
    with pytest.raises(ValueError, match="'digits', a path that ends in .npz.*cifar10.*Received: 'cifar1O'"):
        datasets.load("cifar1O")


@needs_tensorflow
def test_what_is_no_image_classifier_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not an image classifier"):
        datasets.load("imdb_reviews", data_dir=tmp_path)


@needs_tensorflow
def test_without_network_the_remedy_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds, "_answers", lambda host, port: False)
    with pytest.raises(ConnectionError, match="'cifar10' is not in.*on a machine with network.*npz"):
        datasets.load("cifar10", data_dir=tmp_path)
    assert not any(tmp_path.rglob("*.tfrecord*"))


def test_a_host_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(tfds, "REACH_SECONDS", 0.2)
    assert not tfds._answers("name.invalid", port=443)
    assert not tfds._answers("127.0.0.1", port=9)
