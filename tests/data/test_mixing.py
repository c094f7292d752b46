import numpy as np
import pytest
from keras import ops

from keras_kd.data import augmentation, datasets, device_images, sampling
from keras_kd.data.training_data import TrainingData
from keras_kd.utils import backend

SPEC = "crop_flip+mixup:alpha=1+cutmix:probability=0.5"


@pytest.fixture
def dataset(npz):
    return datasets.load(npz)


@pytest.fixture
def data(dataset):
    schedule = sampling.batch_schedule(dataset, 24, seed=3, augmentation=SPEC)
    return TrainingData(dataset, schedule, label_smoothing=0.1)


def by_hand(data, view, index):
    """Images and labels of training examples in float64; what is mixed is what `crop_flip` shows."""
    dataset, params = data.dataset, data.schedule.view(view)
    crop_flip = augmentation.parse("crop_flip")
    own = {field: params[field] for field in crop_flip.fields}
    every = np.float64(crop_flip.apply(dataset.train.images, own, dataset.mean, dataset.std))
    labels = 0.9 * np.eye(dataset.num_classes)[dataset.train.labels] + 0.1 / dataset.num_classes
    images, mixed = [], []
    for i in index:
        j, share = params["partner"][i], float(params["mixup_weight"][i])
        image = share * every[i] + (1 - share) * every[j]
        top, bottom, left, right = (params[f"cutmix_{end}"][i] for end in ("top", "bottom", "left", "right"))
        image[top:bottom, left:right] = every[j][top:bottom, left:right]
        share *= 1 - (bottom - top) * (right - left) / 64
        images.append(image)
        mixed.append(share * labels[i] + (1 - share) * labels[j])
    return np.stack(images), np.stack(mixed)


def first_batch(data, epoch):
    drawn = data.schedule.epoch(epoch)
    return drawn.index[0], {field: values[0] for field, values in drawn.params.items()}


def test_images_and_labels_are_mixed_as_by_hand(data):
    dataset = data.dataset
    index, params = first_batch(data, 2)
    found = data.schedule.augmentation.fetch_and_apply(
        dataset.train.images.__getitem__, index, params, dataset.mean, dataset.std
    )
    images, labels = by_hand(data, 2, index)
    np.testing.assert_allclose(ops.convert_to_numpy(found), images, atol=1e-5)
    np.testing.assert_allclose(data.labels(2, index, params), labels, atol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1)
    assert len(np.unique(labels.round(6), axis=0)) > dataset.num_classes


def test_on_the_device_they_are_the_same(data):
    dataset = data.dataset
    index, params = first_batch(data, 1)
    images = device_images.DeviceImages(dataset, data.schedule.augmentation)
    found = images({device_images.INDEX: index, **params})
    np.testing.assert_allclose(ops.convert_to_numpy(found), by_hand(data, 1, index)[0], atol=1e-5)
    found = images(device_images.validation_inputs(data, 2, 5))
    expected = augmentation.normalise(dataset.validation.images[2:5], dataset.mean, dataset.std)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))
    np.testing.assert_array_equal(data.validation_labels(2, 5).argmax(1), dataset.validation.labels[2:5])
    assert set(np.unique(data.validation_labels(0, 5))) == {0, 1}


@pytest.mark.skipif(not backend.on_tensorflow(), reason="tf.data")
def test_a_pipeline_shows_the_same(data):
    from keras_kd.data import tf_pipeline

    batches = tf_pipeline.batches(data, epochs=2, initial_epoch=1, shards=2, own=range(1, 2))
    for step, (images, labels) in enumerate(batches):
        index = data.schedule.epoch(1).index[step, 12:]
        expected, mixed = by_hand(data, 1, index)
        np.testing.assert_allclose(images, expected, atol=1e-5)
        np.testing.assert_allclose(labels, mixed, atol=1e-6)
    assert step == data.schedule.steps - 1


def test_partners_and_weights_are_drawn_as_the_sources_say():
    drawn = augmentation.parse("mixup:alpha=0.4:probability=0.8+cutmix").sample(
        np.random.default_rng(0), 20_000, (32, 16, 3)
    )
    assert sorted(drawn["partner"]) == list(range(20_000))
    weight, area = drawn["mixup_weight"], 1 - drawn["cutmix_weight"]
    mixed = weight < 1
    np.testing.assert_allclose(mixed.mean(), 0.4, atol=0.01)  # half of the images, of which 0.8
    np.testing.assert_allclose(weight[mixed].mean(), 0.5, atol=0.01)
    np.testing.assert_allclose(weight[mixed].var(), 0.25 / (2 * 0.4 + 1), atol=0.005)  # of Beta(0.4, 0.4)
    assert not (mixed & (area > 0)).any()
    rows, columns = drawn["cutmix_bottom"] - drawn["cutmix_top"], drawn["cutmix_right"] - drawn["cutmix_left"]
    np.testing.assert_allclose(area, rows * columns / 512, atol=1e-6)
    inside = (drawn["cutmix_top"] > 0) & (drawn["cutmix_bottom"] < 32)
    inside &= (drawn["cutmix_left"] > 0) & (drawn["cutmix_right"] < 16) & (area > 0)
    assert np.abs(rows - 2 * columns)[inside].max() <= 2  # of the image's shape, but for whole pixels
    assert (drawn["cutmix_top"].min(), drawn["cutmix_bottom"].max()) == (0, 32)


def test_a_part_draws_the_same_with_a_mixing_and_without():
    spec = "resized_crop+color_jitter"
    alone, mixed = (
        augmentation.parse(each).sample(np.random.default_rng(1), 9, (8, 8, 3))
        for each in (spec, spec + "+cutmix")
    )
    for field, values in alone.items():
        np.testing.assert_array_equal(mixed[field], values)
        np.testing.assert_array_equal(mixed[f"partner_{field}"], values[mixed["partner"]])


def test_a_mixing_round_trips_and_cannot_do_without_partners():
    drawn = augmentation.parse(SPEC)
    assert drawn.spec == "crop_flip+mixup:alpha=1.0+cutmix:probability=0.5"
    assert augmentation.parse(drawn.spec) == drawn
    assert augmentation.parse("mixup").spec == "mixup"
    params = drawn.sample(np.random.default_rng(0), 3, (8, 8, 3))
    assert {field: str(values.dtype) for field, values in params.items()} == drawn.fields
    with pytest.raises(TypeError, match="mixes images with others: use fetch_and_apply"):
        drawn.apply(np.zeros((3, 8, 8, 3), np.uint8), params, np.zeros(3), np.ones(3))
