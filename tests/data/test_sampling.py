import dataclasses

import numpy as np
import pytest

from keras_kd.data import datasets, sampling

PLAN = sampling.BatchSchedule(103, (8, 16, 3), 10, seed=5, augmentation="crop_flip")


def equal(epoch, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip((epoch.index, *epoch.moves), (other.index, *other.moves), strict=True)
    )


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
        for found, expected in zip(epoch.moves, plan.view(1).take(epoch.index), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_as_many_views_as_epochs_are_no_views_at_all():
    plan = dataclasses.replace(PLAN, views=3)
    assert all(equal(plan.epoch(number), PLAN.epoch(number)) for number in range(3))


@pytest.mark.parametrize(
    ("augmentation", "largest"), [("none", (0, 0, 0)), ("crop", (1, 2, 0)), ("crop_flip", (1, 2, 1))]
)
def test_moves_reach_an_eighth(augmentation, largest):
    moves = dataclasses.replace(PLAN, augmentation=augmentation).view(0)
    assert tuple(values.max() for values in moves) == largest
    assert (moves.rows.min(), moves.columns.min()) == (-largest[0], -largest[1])
    assert set(moves.mirrored) <= {0, 1}


def test_auto_mirrors_where_the_class_stays(npz):
    assert sampling.batch_schedule(datasets.load(npz), 8).augmentation == "crop_flip"
    assert sampling.batch_schedule(datasets.load("digits"), 8).augmentation == "crop"


def test_wrong_arguments_are_named(npz):
    dataset = datasets.load(npz)
    for size in (0, 73, 2.5):
        with pytest.raises(ValueError, match=rf"batch_size must be .* training examples, 72.*{size}"):
            sampling.batch_schedule(dataset, size)
    with pytest.raises(ValueError, match="augmentation must be one of.*'cutout'"):
        sampling.batch_schedule(dataset, 8, augmentation="cutout")
