import os
import pathlib
import shutil

import numpy as np
import pytest

from keras_kd.data import dataset as dataset_module
from keras_kd.data import datasets, lazy_images
from keras_kd.data.lazy_images import BadImageError
from tests.support.arrays import tiny_arrays
from tests.support.image_folders import write_folder, write_image


@pytest.fixture(scope="module")
def arrays():
    return tiny_arrays(np.random.default_rng(0))


@pytest.fixture(scope="module")
def written(tmp_path_factory, arrays):
    return write_folder(tmp_path_factory.mktemp("written") / "photos", arrays)


@pytest.fixture
def folder(tmp_path, written):
    """A folder of a test's own."""
    return shutil.copytree(written, tmp_path / "photos")


def test_splits_classes_and_pixels_are_those_that_were_written(written, arrays):
    dataset = datasets.load(written)
    assert dataset.class_names == ("class0", "class1", "class2", "class3")
    assert dataset.image_shape == (8, 8, 3)
    assert [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)] == [72, 8, 24]
    order = np.argsort(arrays["y_test"], kind="stable")
    np.testing.assert_array_equal(dataset.test.images[:], arrays["x_test"][order])
    np.testing.assert_array_equal(dataset.test.labels, arrays["y_test"][order])
    pixels = np.asarray(dataset.train.images) / 255
    np.testing.assert_allclose(dataset.mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(dataset.std, pixels.std(axis=(0, 1, 2)), rtol=1e-6)


def test_a_folder_may_have_its_own_validation_split_or_none_at_all(folder):
    for name in ("val", "validation"):
        shutil.copytree(folder / "test", folder / name)
        dataset = datasets.load(folder)
        assert [len(each.labels) for each in (dataset.train, dataset.validation, dataset.test)] == [
            80,
            24,
            24,
        ]
        if name == "val":
            (folder / "val").rename(folder / "other")
    shutil.copytree(folder / "test", folder / "val")
    with pytest.raises(ValueError, match="photos has both val and validation: one is needed"):
        datasets.load(folder)


def test_classes_alone_are_cut_by_the_seed_with_the_same_shares(folder):
    first, second = (datasets.load(folder / "train", seed=seed) for seed in (0, 1))
    for dataset in (first, second):
        splits = (dataset.train, dataset.validation, dataset.test)
        assert [len(split.labels) for split in splits] == [57, 7, 16]
        assert sorted(np.concatenate([split.images.index for split in splits])) == list(range(80))
        np.testing.assert_array_equal(np.bincount(dataset.test.labels), [4, 4, 4, 4])
    np.testing.assert_array_equal(first.test.images.index, second.test.images.index)
    assert list(first.validation.images.index) != list(second.validation.images.index)


def test_a_class_may_be_called_train(folder):
    (folder / "train" / "class0").rename(folder / "train" / "train")
    assert datasets.load(folder / "train").class_names == ("class1", "class2", "class3", "train")


@pytest.mark.parametrize(
    ("names", "unread"),
    [
        ({"train": "Training", "test": "Testing"}, "Testing, Training"),
        ({"train": "Train", "test": "TEST"}, "TEST, Train"),
        ({"test": "valid"}, "valid"),
        ({"test": "Eval"}, "Eval"),
    ],
)
def test_splits_of_other_names_are_refused(folder, names, unread):
    """Training and Testing were read as two classes, and valid beside train as nothing."""
    for name, other in names.items():
        (folder / name).rename(folder / other)
    with pytest.raises(ValueError, match=f"has splits that are not read: {unread}. Splits are called train"):
        datasets.load(folder)


def test_splits_without_classes_are_refused(tmp_path, arrays):
    for name in ("train", "test"):
        write_image(arrays["x_train"][0], tmp_path / "photos" / name / "a.png")
    with pytest.raises(ValueError, match="not read: test, train. .* with a folder for each class in them"):
        datasets.load(tmp_path / "photos")


def test_a_class_may_be_called_as_a_split(folder):
    for number, name in enumerate(("test", "Valid")):
        (folder / "train" / f"class{number}").rename(folder / "train" / name)
    assert datasets.load(folder / "train").class_names == ("Valid", "class2", "class3", "test")


def test_files_are_found_below_their_class_whatever_they_are_called(folder, arrays):
    names = ["a b.PNG", "ü€.jpeg", "two\nlines.png", os.fsdecode(b"no text \xff.png"), "in/side/x.png"]
    for name in names:
        write_image(arrays["x_train"][0], folder / "train" / "class1" / name)
    for name in (".hidden.png", "notes.txt", "in/._resource.png"):
        (folder / "train" / "class1" / name).write_text("no image")
    (folder / "train" / ".trash").mkdir()
    dataset = datasets.load(f"{folder}/")
    assert len(dataset.train.labels) + len(dataset.validation.labels) == 80 + len(names)
    assert len(np.asarray(dataset.train.images)) == len(dataset.train.labels)
    assert len(dataset.fingerprint) == 16


def test_a_size_makes_images_of_many_sizes_one(folder, arrays):
    write_image(np.zeros((40, 20, 3), np.uint8), folder / "train" / "class0" / "other.png")
    dataset = datasets.load(f"{folder}:16")
    assert dataset.train.images[:].shape == (72, 16, 16, 3)
    with pytest.raises(BadImageError, match="other.png is 20x40, others are 8x8, and no size.*photos:96"):
        np.asarray(datasets.load(folder, seed=3).train.images)


@pytest.mark.parametrize("name", [".", "./", ".:16", "..", "../photos/"])
def test_the_folder_one_is_in_is_known_by_the_same_names(written, monkeypatch, name):
    monkeypatch.chdir(written / "train" if name == ".." else written)
    found, expected = datasets.load(name), datasets.load(f"{written}:16" if ":" in name else written)
    assert found.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(found.test.images[:], expected.test.images[:])


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("", "must be a whole number, as in 'photos:96'"),
        ("x", "must be a whole number"),
        ("7", "to which images are resized, must be a whole number from 8 to 4096. Received: size=7"),
        ("99999", "from 8 to 4096"),
    ],
)
def test_a_size_that_is_none(written, size, message):
    with pytest.raises(ValueError, match=message):
        datasets.load(f"{written}:{size}")


def test_a_word_is_a_folder_only_if_that_has_images(written, tmp_path, monkeypatch):
    monkeypatch.chdir(written.parent)
    assert len(datasets.load("photos").test.labels) == 24
    assert datasets.absolute_name("photos:16") == f"{written}:16"
    (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert datasets.absolute_name("mnist") == "mnist"
    for name in ("./none:96", "~nobody/photos", f"/{'x' * 5000}"):
        with pytest.raises(FileNotFoundError, match=f"there is no folder '{name[:20]}"):
            datasets.load(name)
    for name in (":", "a" * 5000, "\0", "cifar10:x"):
        assert datasets.absolute_name(name) == name


@pytest.mark.parametrize("moves", [{"class0": "train"}, {"class0": "deep/er", "class1": "in/side"}])
def test_a_word_is_a_folder_also_where_train_is_a_class_or_images_lie_deeper(folder, monkeypatch, moves):
    monkeypatch.chdir(folder)
    for class_folder in pathlib.Path("train").iterdir():
        destination = pathlib.Path("words", moves.get(class_folder.name, f"{class_folder.name}/2021"))
        shutil.copytree(class_folder, destination)
    assert datasets.absolute_name("words:16") == f"{folder}/words:16"
    assert len(datasets.load("words").class_names) == 4


def test_the_fingerprint_differs_with_a_file_its_name_and_the_size(written, folder):
    def fingerprint(name):
        return datasets.load(name).fingerprint

    known = fingerprint(written)
    assert fingerprint(folder) == known  # wherever it is, whenever it was written
    found = {known, fingerprint(f"{folder}:8"), fingerprint(f"{folder}:16")}
    path = folder / "train" / "class2" / "0002.png"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")  # as long as before
    found.add(fingerprint(folder))
    path.write_bytes(content)
    path.rename(path.with_name("0003.png"))
    found.add(fingerprint(folder))
    assert len(found) == 5


def test_normalisation_is_that_of_a_bounded_sample(written, monkeypatch):
    monkeypatch.setattr(dataset_module, "MOMENTS_SAMPLE", 30)
    first, second = datasets.load(written), datasets.load(written)
    np.testing.assert_array_equal(first.mean, second.mean)
    pixels = np.asarray(first.train.images) / 255
    assert 0 < np.abs(first.mean - pixels.mean(axis=(0, 1, 2))).max() < 0.1


def test_a_part_of_the_training_images_is_not_read(written):
    dataset = datasets.load(written)
    part = datasets.subset(dataset, 0.5)
    assert lazy_images.is_lazy(part.train.images)
    assert len(part.train.labels) == 36
    np.testing.assert_array_equal(part.mean, dataset.mean)
    assert part.fingerprint != dataset.fingerprint


def spoil_class(folder):
    shutil.rmtree(folder / "test" / "class2")


def empty_class(folder):
    shutil.rmtree(folder / "train" / "class2")
    (folder / "train" / "class2").mkdir()


def other_class(folder):
    (folder / "test" / "class2").rename(folder / "test" / "Class2")


def loop(folder):
    (folder / "train" / "class1" / "again").symlink_to(folder / "train")


def self_loop(folder):
    (folder / "train" / "class1" / "self.png").symlink_to("self.png")


def dangling(folder):
    (folder / "train" / "class1" / "gone.png").symlink_to("nowhere.png")


def empty_file(folder):
    (folder / "train" / "class1" / "0001.png").write_bytes(b"")


BAD_FOLDERS = {
    "a class that test lacks": (spoil_class, "photos/test has no class 'class2', which is in .*photos/train"),
    "a class that train lacks": (
        other_class,
        "photos/train has no class 'Class2', which is in .*photos/test",
    ),
    "a class without images": (empty_class, r"train/class2 has no image \(.jpg, .jpeg, .png, .bmp, .gif"),
    "no classes": (lambda folder: shutil.rmtree(folder / "train" / "class0"), "photos/train has no class"),
    "a link that leads back": (loop, "class1/again is a link that leads back to a folder around it"),
    "a link to itself": (self_loop, r"class1/self.png cannot be opened \(Too many levels"),
    "a link to nothing": (dangling, r"class1/gone.png cannot be opened \(No such file"),
    "an empty file": (empty_file, "class1/0001.png is empty: put a whole image in its place"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_folder_is_named_on_one_line(folder, case):
    spoil, message = BAD_FOLDERS[case]
    spoil(folder)
    with pytest.raises(ValueError, match=message) as raised:
        datasets.load(folder)
    assert len(str(raised.value).splitlines()) == 1


def test_a_folder_without_classes_is_no_dataset(tmp_path, arrays):
    write_image(arrays["x_train"][0], tmp_path / "photos" / "a.png")
    with pytest.raises(ValueError, match="must have a folder for each class, at least two. Received: none"):
        datasets.load(tmp_path / "photos")


def test_a_folder_that_cannot_be_opened_is_named(folder, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if pathlib.Path(path).name == "class3":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(BadImageError, match=r"train/class3 cannot be opened \(Permission denied\)"):
        datasets.load(folder)


def test_a_file_that_changes_is_named(folder):
    dataset = datasets.load(folder)
    path = folder / "test" / "class0" / "0000.png"
    write_image(np.zeros((8, 8, 3), np.uint8), path)
    with pytest.raises(BadImageError, match="class0/0000.png was changed since its folder was read"):
        np.asarray(dataset.test.images)
    skipping = datasets.load(folder, skip_bad_images=True)
    path.unlink()
    np.testing.assert_array_equal(skipping.test.images[0], skipping.test.images[1])
    assert list(skipping.bad_images.values()) == ["cannot be opened (No such file or directory)"]
    with pytest.raises(BadImageError, match=r"0000.png cannot be opened \(No such file"):
        np.asarray(dataset.test.images)


def test_bad_images_are_done_without_and_listed(folder, arrays, capsys):
    bad = [folder / "test" / "class1" / name for name in ("0001.png", "0005.png", "0021.png")]
    for path in bad:
        path.write_text("no image")
    empty_file(folder)
    loop(folder)
    dataset = datasets.load(folder, skip_bad_images=True)
    images = np.asarray(dataset.test.images)
    of_class = arrays["x_test"][arrays["y_test"] == 1]
    expected = of_class[[2, 2, 2, 3, 4, 2]]  # the next one of the class, after the last one the first
    np.testing.assert_array_equal(images[dataset.test.labels == 1], expected)
    np.testing.assert_array_equal(images[dataset.test.labels == 0], arrays["x_test"][arrays["y_test"] == 0])
    listed = dataset.bad_images
    assert sorted(pathlib.Path(name).name for name in listed) == [
        "0001.png",
        "0001.png",
        "0005.png",
        "0021.png",
        "again",
    ]
    assert listed[str(bad[0])] == "is no JPEG, PNG, BMP, GIF or WebP image"
    said = capsys.readouterr().out
    assert f"{bad[1]} is no JPEG" in said
    assert "another image of its class stands in for it" in said
    assert "0001.png is empty: it is left out" in said
    assert datasets.load(folder.parent / "photos", skip_bad_images=True).fingerprint == dataset.fingerprint


def test_a_class_without_any_good_image_is_told(folder):
    for path in (folder / "test" / "class1").iterdir():
        path.write_text("no image")
    dataset = datasets.load(folder, skip_bad_images=True)
    with pytest.raises(ValueError, match="is no JPEG.* and no other image of its class can be read"):
        np.asarray(dataset.test.images)


def test_any_image_of_its_class_stands_in_where_few_are_looked_at(folder, arrays, monkeypatch):
    """As for mean and deviation, where many classes have one image in the sample."""
    monkeypatch.setattr(dataset_module, "MOMENTS_SAMPLE", 4)
    for path in sorted((folder / "train" / "class1").iterdir())[:-1]:
        path.write_text("no image")
    dataset = datasets.load(folder, skip_bad_images=True)
    assert np.isfinite(dataset.mean).all()
    of_class = np.flatnonzero(dataset.train.labels == 1)
    (found,) = lazy_images.batches(dataset.train.images, 8, of_class[:1])
    np.testing.assert_array_equal(found[0], arrays["x_train"][arrays["y_train"] == 1][-1])


def test_a_class_has_a_name_that_can_be_written(folder):
    """It stands on cards and pages, which would fail after the training."""
    os.rename(folder / "train" / "class1", os.fsencode(folder / "train") + b"/caf\xe9")
    with pytest.raises(ValueError, match="the name of a class in .*train has a line break or control"):
        datasets.load(folder)


def test_only_images_of_the_same_split_stand_in(folder):
    """Where one folder is cut into splits, a test image is never a training image."""
    names = sorted((folder / "train" / "class0").iterdir())
    dataset = datasets.load(folder / "train", skip_bad_images=True)
    position = dataset.test.images.index[0]
    names[position].write_text("no image")
    found = dataset.test.images[:1]
    np.testing.assert_array_equal(found, dataset.test.images[1:2])


def test_images_that_are_in_train_and_in_test_are_told(folder, capsys):
    datasets.load(folder)
    assert capsys.readouterr().out.count("are in train too") == 0
    for name in ("0003.png", "0007.png"):
        shutil.copy(folder / "test" / "class3" / name, folder / "train" / "class3" / f"copy-{name}")
    datasets.load(folder)
    said = capsys.readouterr().out
    assert "2 images of test are in train too, such as" in said
    assert f"{folder}/test/class3/0003.png and {folder}/train/class3/copy-0003.png" in said
