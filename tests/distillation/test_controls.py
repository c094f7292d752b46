"""The controls: what they keep of a teacher's logits and what they take away."""

import numpy as np
import pytest
from scipy import special, stats

from keras_kd.data import datasets, sampling
from keras_kd.distillation import controls


class Kept:
    """Stands in for `teacher_cache.TeacherLogits`."""

    def __init__(self, dataset, rng):
        self.views = 3
        self.identity = {"teacher": "x"}
        shape = (self.views, len(dataset.train.labels), dataset.num_classes)
        self.logits = rng.normal(0, 3, shape).astype(np.float32)
        self.stored = rng.normal(0, 3, (len(dataset.validation.labels), dataset.num_classes))
        self.checked = []

    def check(self, *whose):
        self.checked.append(whose)

    def train(self, view, index):
        return self.logits[view][index]

    def validation(self, start, stop):
        return self.stored[start:stop]


@pytest.fixture
def dataset(npz):
    return datasets.load(npz, validation_fraction=0.2)


@pytest.fixture
def kept(dataset, rng):
    return Kept(dataset, rng)


def test_places_stay_within_their_class(rng):
    labels = rng.integers(0, 5, 200)
    places = controls.within_classes(labels, [3])
    assert sorted(places) == list(range(200))
    np.testing.assert_array_equal(labels[places], labels)
    assert np.mean(places == np.arange(200)) < 0.1
    np.testing.assert_array_equal(places, controls.within_classes(labels, [3]))


def test_shuffled_logits_are_those_of_another_example_of_the_class(dataset, kept):
    shuffled = controls.control_targets("shuffled", kept, dataset, temperature=4.0, seed=1)
    labels = dataset.train.labels
    everyone = np.arange(len(labels))
    places = []
    for view in range(kept.views):
        logits = shuffled.train(view, everyone)
        place = [np.flatnonzero((kept.logits[view] == row).all(axis=1))[0] for row in logits]
        np.testing.assert_array_equal(labels[place], labels)
        places.append(place)
        np.testing.assert_array_equal(shuffled.train(view, [5, 2]), logits[[5, 2]])
    assert places[0] != places[1]
    validation = shuffled.validation(0, len(dataset.validation.labels))
    np.testing.assert_array_equal(shuffled.validation(2, 5), validation[2:5])
    assert {tuple(row) for row in validation} == {tuple(row) for row in kept.stored}


def test_smoothed_labels_have_the_mean_entropy_of_the_soft_targets(dataset, kept):
    temperature = 4.0
    smoothed = controls.control_targets("smoothing", kept, dataset, temperature=temperature, seed=0)
    everyone = np.arange(len(dataset.train.labels))
    target = special.softmax(kept.logits[0].astype(np.float64) / temperature, axis=1)
    made = special.softmax(smoothed.train(1, everyone).astype(np.float64) / temperature, axis=1)
    entropy = stats.entropy(target, axis=1).mean()
    np.testing.assert_allclose(stats.entropy(made, axis=1), entropy, rtol=1e-5)
    np.testing.assert_array_equal(made.argmax(axis=1), dataset.train.labels)
    others = np.sort(made, axis=1)[:, :-1]
    np.testing.assert_allclose(others, others[0, 0], rtol=1e-5)
    rows = smoothed.validation(1, 4)
    np.testing.assert_array_equal(rows.argmax(axis=1), dataset.validation.labels[1:4])


@pytest.mark.parametrize(("entropy", "expected"), [(0.0, controls.LEAST_SMOOTHING), (9.0, 1.0)])
def test_smoothing_stays_in_range(entropy, expected):
    assert controls.matched_smoothing(entropy, 10) == expected
    assert np.isfinite(controls.smoothed_logits(expected, 10, 4.0)).all()


def test_a_control_says_what_it_is_and_is_checked_like_its_teacher(dataset, kept):
    schedule = sampling.batch_schedule(dataset, 8, views=2)
    for control, name in (("shuffled", "Shuffled"), ("smoothing", "Smoothed")):
        made = controls.control_targets(control, kept, dataset, temperature=1.0, seed=0)
        assert made.identity == {"teacher": "x", "control": name}
        assert made.views == kept.views
        made.check("teacher", dataset, schedule)
    assert kept.checked == [("teacher", dataset, schedule)] * 2
    for control in (None, "untrained"):
        assert controls.control_targets(control, kept, dataset, temperature=1.0, seed=0) is kept
