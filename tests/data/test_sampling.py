import dataclasses
import typing

import numpy as np
import pytest

from keras_kd.data import augmentation, datasets, sampling

PLAN = sampling.BatchSchedule(103, (8, 16, 3), 10, seed=5, augmentation=augmentation.CropFlip())


def equal(epoch, other):
    assert epoch.params.keys() == other.params.keys()
    pairs = [(epoch.index, other.index), *((epoch.params[f], other.params[f]) for f in epoch.params)]
    return all(np.array_equal(*pair) for pair in pairs)


def test_an_epoch_holds_every_example_once_but_for_the_last_few():
    epoch = PLAN.epoch(3)
    assert epoch.index.shape == (10, 10)
    assert len(set(epoch.index.ravel())) == 100
    assert 0 <= epoch.index.min() <= epoch.index.max() < 103
    left_out = [set(range(103)) - set(PLAN.epoch(number).index.ravel()) for number in range(40)]
    assert len(set.union(*left_out)) > 50


def test_an_epoch_depends_on_seed_and_number_alone():
    assert equal(PLAN.epoch(3), dataclasses.replace(PLAN).epoch(3))
    assert not equal(PLAN.epoch(3), PLAN.epoch(4))
    assert not equal(PLAN.epoch(3), dataclasses.replace(PLAN, seed=6).epoch(3))


def test_views_come_round_while_the_order_does_not():
    plan = dataclasses.replace(PLAN, views=4)
    first, again = plan.epoch(1), plan.epoch(5)
    assert not np.array_equal(first.index, again.index)
    for epoch in (first, again):
        for field, values in plan.view(1).items():
            np.testing.assert_array_equal(epoch.params[field], values[epoch.index])


def test_as_many_views_as_epochs_are_no_views_at_all():
    plan = dataclasses.replace(PLAN, views=3)
    assert all(equal(plan.epoch(number), PLAN.epoch(number)) for number in range(3))


@pytest.mark.parametrize(("name", "largest"), [("crop", (1, 2, 0)), ("crop_flip", (1, 2, 1))])
def test_crops_reach_an_eighth(name, largest):
    drawn = augmentation.AUGMENTATIONS[name]()
    params = dataclasses.replace(PLAN, augmentation=drawn).view(0)
    assert {field: str(values.dtype) for field, values in params.items()} == drawn.fields
    assert tuple(values.max() for values in params.values()) == largest
    assert (params["rows"].min(), params["columns"].min()) == (-largest[0], -largest[1])
    assert set(params["mirrored"]) <= {0, 1}


def test_parameters_are_drawn_as_they_always_were():
    """Rows, columns and mirrors one after the other from one stream: caches and seeds depend on it."""
    params = PLAN.view(7)
    rng = np.random.default_rng([5, 7, 1])
    np.testing.assert_array_equal(params["rows"], rng.integers(-1, 1, 103, endpoint=True))
    np.testing.assert_array_equal(params["columns"], rng.integers(-2, 2, 103, endpoint=True))
    np.testing.assert_array_equal(params["mirrored"], rng.integers(0, 2, 103))


def test_a_new_augmentation_is_carried_without_being_known(npz, monkeypatch):
    class Darker(augmentation.Augmentation):
        name = "darker"
        fields: typing.ClassVar = {"factor": "float32"}

        def sample(self, rng, count, image_shape):
            return {"factor": rng.uniform(0.5, 1, count).astype("float32")}

        def transform(self, pixels, params, mean):
            return pixels * params["factor"][:, None, None, None]

    monkeypatch.setitem(augmentation.AUGMENTATIONS, "darker", Darker)
    schedule = sampling.batch_schedule(datasets.load(npz), 8, augmentation="darker")
    epoch = schedule.epoch(2)
    np.testing.assert_array_equal(epoch.params["factor"], schedule.view(2)["factor"][epoch.index])


def test_auto_mirrors_where_the_class_stays(npz):
    assert sampling.batch_schedule(datasets.load(npz), 8).augmentation.name == "crop_flip"
    assert sampling.batch_schedule(datasets.load("digits"), 8).augmentation.name == "crop"


def test_wrong_arguments_are_named(npz):
    dataset = datasets.load(npz)
    for size in (0, 73, 2.5):
        with pytest.raises(ValueError, match=rf"batch_size must be .* training examples, 72.*{size}"):
            sampling.batch_schedule(dataset, size)
    with pytest.raises(ValueError, match="unknown augmentation 'cutout'"):
        sampling.batch_schedule(dataset, 8, augmentation="cutout")
