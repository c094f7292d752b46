"""What a teacher teaches in a study: its own logits, or in their place those of a control.

The controls tell guidance from mere regularisation. They stand in for `teacher_cache.TeacherLogits`, of
which they are made, so that nothing else in a training knows of them.
"""

import functools

import numpy as np
from scipy import optimize, special

# The least that label smoothing gives to all classes together: its logits stay finite.
LEAST_SMOOTHING = 1e-6


class _Control:
    """Logits made of kept ones.

    Args:
      kept: a `teacher_cache.TeacherLogits`.
      dataset: the `keras_kd.data.Dataset` that they are of.
    """

    def __init__(self, kept, dataset):
        self._kept = kept
        self._dataset = dataset

    @property
    def views(self):
        return self._kept.views

    @property
    def identity(self):
        """That of the logits, and what was made of them."""
        return {**self._kept.identity, "control": type(self).__name__}

    def check(self, teacher, dataset, schedule):
        """See `teacher_cache.TeacherLogits.check`; refuses mixed images, which have no one class."""
        if schedule.augmentation.mixes:
            raise ValueError(
                "the controls 'shuffled' and 'smoothing' are about the one class of an image: take an "
                f"augmentation that mixes no images. Received: augmentation={schedule.augmentation.spec!r}"
            )
        self._kept.check(teacher, dataset, schedule)


class Shuffled(_Control):
    """The logits of a random example of the same class: what is true of the class stays, what is true of
    the example goes. Another one in each view.

    Args:
      kept, dataset: as for all controls.
      seed: of the places.
    """

    def __init__(self, kept, dataset, seed=0):
        super().__init__(kept, dataset)
        self._seed = seed
        self._places = functools.lru_cache(maxsize=2)(self._drawn)  # of an epoch's view, and of validation

    def _drawn(self, view):
        """The places of a view of training; of validation for None."""
        if view is None:
            return within_classes(self._dataset.validation.labels, [self._seed, 0])
        return within_classes(self._dataset.train.labels, [self._seed, view, 1])

    def train(self, view, index):
        """See `teacher_cache.TeacherLogits.train`."""
        return self._kept.train(view, self._places(int(view))[index])

    def validation(self, start, stop):
        """See `teacher_cache.TeacherLogits.validation`."""
        everything = self._kept.validation(0, len(self._dataset.validation.labels))
        return everything[self._places(None)[start:stop]]


class Smoothed(_Control):
    """Labels smoothed as much as the teacher's soft targets are: their mean entropy is the same.

    Args:
      kept, dataset: as for all controls.
      temperature: at which the student will see them.

    Source: Yuan et al. 2020, arXiv:1909.11723, section 4 (label smoothing as a virtual teacher).
    """

    def __init__(self, kept, dataset, temperature):
        super().__init__(kept, dataset)
        everyone = np.arange(len(dataset.train.labels))
        entropy = mean_entropy(kept.train(0, everyone), temperature)
        self.smoothing = matched_smoothing(entropy, dataset.num_classes)
        self._rows = smoothed_logits(self.smoothing, dataset.num_classes, temperature)

    def train(self, view, index):
        """See `teacher_cache.TeacherLogits.train`."""
        return self._rows[self._dataset.train.labels[index]]

    def validation(self, start, stop):
        """See `teacher_cache.TeacherLogits.validation`."""
        return self._rows[self._dataset.validation.labels[start:stop]]


def control_targets(control, kept, dataset, *, temperature, seed):
    """What a teacher teaches.

    Args:
      control: a name of `design.CONTROLS`, or None.
      kept: the teacher's `teacher_cache.TeacherLogits`; for "untrained" those of the untrained network.
      dataset: that they are of.
      temperature, seed: of the run.
    """
    if control == "shuffled":
        return Shuffled(kept, dataset, seed)
    if control == "smoothing":
        return Smoothed(kept, dataset, temperature)
    return kept


def within_classes(labels, seed):
    """A random permutation of places that leaves each label where it is: `labels[result] == labels`."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    places = np.empty(len(labels), np.int64)
    # Both sides list the places class by class, one in order and one at random.
    places[np.argsort(labels, kind="stable")] = shuffled[np.argsort(labels[shuffled], kind="stable")]
    return places


def mean_entropy(logits, temperature):
    """Mean entropy in nats of softened distributions: float `[n, classes]` to a number."""
    probabilities = special.softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    return float(special.entr(probabilities).sum(axis=1).mean())


def matched_smoothing(entropy, classes):
    """The smoothing e for which `(1 - e) one_hot + e / classes` has this entropy, in nats.

    Returns:
      A number in [`LEAST_SMOOTHING`, 1].
    """

    def surplus(smoothing):
        return float(special.entr(_smoothed(smoothing, classes)).sum()) - entropy

    if surplus(LEAST_SMOOTHING) >= 0:
        return LEAST_SMOOTHING
    return 1.0 if surplus(1.0) <= 0 else optimize.brentq(surplus, LEAST_SMOOTHING, 1.0)


def smoothed_logits(smoothing, classes, temperature):
    """float32 `[classes, classes]`: the logits of each class that soften to smoothed labels."""
    rows = np.full((classes, classes), smoothing / classes)
    np.fill_diagonal(rows, _smoothed(smoothing, classes)[0])
    return (temperature * np.log(np.maximum(rows, np.finfo(np.float32).tiny))).astype(np.float32)


def _smoothed(smoothing, classes):
    """The distribution of an example of the first class."""
    probabilities = np.full(classes, smoothing / classes)
    probabilities[0] += 1 - smoothing
    return probabilities
