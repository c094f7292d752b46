import numpy as np
import pytest

from keras_kd.data import datasets, sampling, tf_pipeline
from keras_kd.data.training_data import TrainingData
from tests.support.image_folders import in_memory, write_folder
from tests.support.processes import run_python


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


def batches(dataset, batch_size, *, seed=0, augmentation="auto", views=0, **options):
    plan = sampling.batch_schedule(dataset, batch_size, seed=seed, augmentation=augmentation, views=views)
    return tf_pipeline.batches(TrainingData(dataset, plan), **options)


def listed(batches):
    return [(x.numpy(), y.numpy()) for x, y in batches]


def images_of(batches):
    return np.concatenate([x for x, _ in listed(batches)])


def equal(first, second):
    return len(first) == len(second) and all(
        np.array_equal(a, b)
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def normalised(split, dataset):
    return ((split.images / 255 - dataset.mean) / dataset.std).astype("float32")


def test_a_batch_depends_on_seed_epoch_and_index_alone(dataset):
    whole = listed(batches(dataset, 10, epochs=3, seed=5))
    assert equal(whole, listed(batches(dataset, 10, epochs=3, seed=5)))
    assert len(whole) == 3 * 7
    for epoch in range(3):
        later = listed(batches(dataset, 10, epochs=epoch + 1, seed=5, initial_epoch=epoch))
        assert equal(whole[7 * epoch : 7 * epoch + 7], later)
    assert not equal(whole[:7], whole[7:14])
    assert not equal(whole[:7], listed(batches(dataset, 10, epochs=1, seed=6)))


def test_what_happens_to_an_example_does_not_depend_on_the_batch_size(dataset):
    small = batches(dataset, 6, epochs=1, seed=5)
    large = batches(dataset, 36, epochs=1, seed=5)
    np.testing.assert_array_equal(images_of(small), images_of(large))


def test_an_epoch_holds_every_example_once_but_for_the_last_few(dataset):
    images = images_of(batches(dataset, 5, epochs=1, augmentation="none"))
    expected = normalised(dataset.train, dataset)
    assert images.shape == (70, 8, 8, 3)
    distances = np.abs(images[:, np.newaxis] - expected).max(axis=(2, 3, 4))
    assert sorted(set(distances.argmin(axis=1))) == sorted(distances.argmin(axis=1))
    assert distances.min(axis=1).max() < 1e-5


@pytest.mark.parametrize("augmentation", ["crop", "crop_flip"])
def test_each_augmented_image_is_a_move_or_mirror_of_its_original(dataset, augmentation):
    moved = batches(dataset, 70, epochs=3, augmentation=augmentation)
    plain = batches(dataset, 70, epochs=3, augmentation="none")
    seen = set()
    for image, original in zip(images_of(moved), images_of(plain), strict=True):
        padded = np.pad(original, [(1, 1), (1, 1), (0, 0)])
        moves = {
            (dy, dx, flip): padded[dy : dy + 8, dx : dx + 8][:, :: -1 if flip else 1]
            for dy in range(3)
            for dx in range(3)
            for flip in (False, True)
        }
        found = [move for move, result in moves.items() if np.array_equal(result, image)]
        assert found
        seen.add(found[0])
    offsets = {move[:2] for move in seen}
    assert len(offsets) == 9
    assert {move[2] for move in seen} == ({False, True} if augmentation == "crop_flip" else {False})


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_images_of_a_folder_give_the_batches_of_arrays(tmp_path, cache):
    write_folder(tmp_path / "photos")
    streamed = datasets.load(tmp_path / "photos", cache=cache, cache_dir=tmp_path / "cache")
    options = {"epochs": 3, "seed": 2, "views": 2, "initial_epoch": 1}
    expected = listed(batches(in_memory(streamed), 10, **options))
    for _ in range(2):  # from files, then from the cache
        assert equal(listed(batches(streamed, 10, **options)), expected)
    part = listed(batches(streamed, 12, epochs=1, shards=6, own=range(2, 4)))
    assert equal(part, listed(batches(in_memory(streamed), 12, epochs=1, shards=6, own=range(2, 4))))


@pytest.mark.parametrize(("shards", "of_each"), [(2, 1), (6, 1), (6, 3)])
def test_shards_together_are_the_batch_and_share_nothing(dataset, shards, of_each):
    """Each host reads its own rows of each batch, one shard after the other."""
    whole = images_of(batches(dataset, 12, epochs=2, seed=3)).reshape(12, 12, 8, 8, 3)
    parts = [
        images_of(
            batches(dataset, 12, epochs=2, seed=3, shards=shards, own=range(first, first + of_each))
        ).reshape(12, -1, 8, 8, 3)
        for first in range(0, shards, of_each)
    ]
    assert all(part.shape[1] == 12 * of_each // shards for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    each = next(iter(batches(dataset, 12, epochs=1, shards=shards, own=range(of_each))))
    assert each[0].shape[0] == 12 // shards


QUIET = """
import keras_kd, numpy as np, tensorflow as tf
from keras_kd.data import datasets, sampling, tf_pipeline
from keras_kd.data.training_data import TrainingData

class Targets:
    views = 2
    def train(self, view, index):
        return np.zeros((len(index), 10), "float32")

tf.config.experimental.enable_op_determinism()
dataset = datasets.load("digits")
data = TrainingData(dataset, sampling.batch_schedule(dataset, 100, views=2), Targets())
print(sum(1 for _ in tf_pipeline.batches(data, epochs=2)))
"""


@pytest.mark.slow
def test_a_deterministic_pipeline_has_nothing_to_complain_of(tmp_path):
    """TensorFlow rewrites what is not declared pure, and says so in its own words."""
    (tmp_path / "quiet.py").write_text(QUIET)
    status, output, errors = run_python(tmp_path / "quiet.py", cwd=tmp_path, TF_CPP_MIN_LOG_LEVEL="1")
    assert (status, errors) == (0, "")
    assert output.split() == ["24"]
