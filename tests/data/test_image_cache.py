import copy
import shutil

import numpy as np
import pytest

from keras_kd.data import datasets, image_cache, image_decoding
from keras_kd.data.lazy_images import BadImageError
from keras_kd.utils import limits
from tests.support.image_folders import write_folder, write_image


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("written") / "photos")


@pytest.fixture
def folder(tmp_path, written):
    return shutil.copytree(written, tmp_path / "photos")


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded."""
    found, read = [], image_decoding.read

    def noting(path, size=None):
        found.append(path)
        return read(path, size)

    monkeypatch.setattr(image_decoding, "read", noting)
    return found


def load(folder, cache, tmp_path, **options):
    return datasets.load(folder, cache=cache, cache_dir=tmp_path / "cache", **options)


@pytest.mark.parametrize("cache", image_cache.CACHES)
def test_each_image_is_decoded_once_and_is_the_same(folder, tmp_path, decoded, cache):
    expected = np.asarray(datasets.load(folder).train.images)
    dataset = load(folder, cache, tmp_path)
    decoded.clear()
    for index in (np.arange(72), np.arange(72)[::-1], np.array([5, 5, 70])):
        np.testing.assert_array_equal(dataset.train.images[index], expected[index])
    assert len(decoded) == (147 if cache == "none" else 72)
    assert dataset.fingerprint == datasets.load(folder).fingerprint


def test_a_disk_cache_serves_later_processes_and_every_cut(folder, tmp_path, decoded):
    np.asarray(load(folder, "disk", tmp_path).train.images)
    np.asarray(load(folder, "disk", tmp_path).validation.images)
    decoded.clear()
    later = load(folder, "disk", tmp_path, seed=1)
    decoded.clear()  # one, for the shape of all
    np.asarray(copy.deepcopy(later).train.images)
    assert decoded == []
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [
        path.name for path in (tmp_path / "cache").iterdir() if len(path.name) == 16
    ]


def test_the_file_is_rows_of_uint8(folder, tmp_path):
    dataset = load(folder, "disk", tmp_path)
    images = np.asarray(dataset.train.images)
    (path,) = tmp_path.glob("cache/*/images.uint8")
    rows = np.memmap(path, np.uint8, "r").reshape(-1, 8, 8, 3)
    np.testing.assert_array_equal(rows[dataset.train.images.index], images)
    assert len(rows) == 104


@pytest.mark.parametrize("damage", ["row", "checksums", "cut", "gone"])
def test_what_is_damaged_is_decoded_again(folder, tmp_path, decoded, damage):
    dataset = load(folder, "disk", tmp_path)
    expected = np.asarray(dataset.train.images)
    (rows,), (sums,) = tmp_path.glob("cache/*/images.uint8"), tmp_path.glob("cache/*/checksums.uint32")
    content = bytearray(rows.read_bytes())
    position = int(dataset.train.images.index[7])
    if damage == "row":
        content[position * 192 + 5] ^= 1
        rows.write_bytes(content)
    elif damage == "checksums":
        sums.write_bytes(bytes(sums.stat().st_size))
    elif damage == "cut":
        rows.write_bytes(content[:-1])
    else:
        rows.unlink()
    decoded.clear()
    np.testing.assert_array_equal(np.asarray(load(folder, "disk", tmp_path).train.images), expected)
    assert len(decoded) >= (2 if damage == "row" else 72 if damage == "checksums" else 1)


def test_a_file_that_was_written_anew_is_decoded_anew(folder, tmp_path):
    np.asarray(load(folder, "disk", tmp_path).test.images)
    write_image(np.full((8, 8, 3), 9, np.uint8), folder / "test" / "class0" / "0000.png")
    assert (load(folder, "disk", tmp_path).test.images[0] == 9).all()


def test_sizes_do_not_share_a_cache(folder, tmp_path):
    for name, shape in ((folder, (8, 8, 3)), (f"{folder}:12", (12, 12, 3))):
        assert load(name, "disk", tmp_path).test.images[0].shape == shape
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_bad_images_are_not_kept(folder, tmp_path, cache):
    (folder / "test" / "class0" / "0004.png").write_text("no image")
    dataset = load(folder, cache, tmp_path)
    for _ in range(2):
        with pytest.raises(BadImageError, match="0004.png is no JPEG"):
            np.asarray(dataset.test.images)
    skipping = load(folder, cache, tmp_path, skip_bad_images=True)
    images = np.asarray(skipping.test.images)
    np.testing.assert_array_equal(images[1], images[2])
    assert len(skipping.bad_images) == 1


def test_what_does_not_fit_is_said_before(folder, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="cache must be one of memory, disk, none. Received: cache='ram'"):
        load(folder, "ram", tmp_path)
    monkeypatch.setattr(limits, "memory_size", lambda: 1000)
    with pytest.raises(ValueError, match="the cache of decoded images would take .* GB of memory"):
        load(folder, "memory", tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="the cache of decoded images would take .* are free in"):
        load(folder, "disk", tmp_path)
    assert not list(tmp_path.glob("cache/*/images.uint8"))


def test_a_full_disk_is_named(folder, tmp_path, monkeypatch):
    dataset = load(folder, "disk", tmp_path)
    rows = dataset.train.images.source._rows
    rows._rows = rows._rows.parent / "full"
    rows._rows.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device.*full"):
        rows.put(np.array([0]), np.zeros((1, 8, 8, 3), np.uint8))
