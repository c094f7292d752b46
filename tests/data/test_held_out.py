import numpy as np
import pytest

from keras_kd.data import datasets, held_out
from keras_kd.data.lazy_images import BadImageError
from tests.support.image_folders import write_folder, write_image


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "photos")


def test_bad_images_are_named_where_they_are_held_out(folder):
    write_image(np.zeros((9, 8, 3), np.uint8), folder / "test" / "class1" / "0005.png")
    with pytest.raises(BadImageError, match="test/class1/0005.png is 8x9, others are 8x8"):
        held_out.check_images(datasets.load(folder))
    dataset = datasets.load(folder, skip_bad_images=True)
    held_out.check_images(dataset)
    assert [name.endswith("test/class1/0005.png") for name in dataset.bad_images] == [True]


def test_a_cache_has_them_afterwards_and_train_is_left_alone(folder):
    dataset = datasets.load(folder, cache="memory")
    held_out.check_images(dataset)
    dataset.test.images.source.source.read = None
    assert dataset.test.images[:].shape == (24, 8, 8, 3)
    assert dataset.validation.images[:].shape == (8, 8, 8, 3)
    with pytest.raises(TypeError):
        np.asarray(dataset.train.images)


def test_what_is_in_memory_is_not_looked_at(npz, monkeypatch):
    monkeypatch.setattr(held_out.progress, "WorkLine", None)
    held_out.check_images(datasets.load(npz))
