"""Several teachers as one: the mean of what they say, asked at each step or cached for each of them.

teacher = distillation.ensemble([a, b, c], weights=[2, 1, 1])
"""

import itertools

import keras
import numpy as np
from keras import ops

from keras_kd.losses import check_temperature
from keras_kd.models import graph, network_checks, outputs
from keras_kd.utils import checks, limits

AVERAGES = ("probabilities", "logits")


def ensemble(teachers, weights=None, average="probabilities", temperature=4.0):
    """One network that returns the average of several, for whatever takes a teacher.

    Args:
      teachers: built `keras.Model`s with the same inputs and classes, each as the Distiller takes it. They
        are inside unchanged; the Distiller asks them in inference mode.
      weights: a number >= 0 for each, which need not sum to 1; None: equal.
      average: "probabilities": the logits z are such that softmax(z / T) is the weighted mean of the
        teachers' softmax(z_i / T), for classes that exclude each other; "logits": the weighted mean of z_i.
      temperature: T, that of the Distiller. Softened by another one, as terms with a temperature of their own
        do, z is no mean of probabilities; the mean of logits is the same at any.

    Returns:
      A `keras.Model`, from inputs to logits `[batch, classes]`.

    Raises:
      ValueError: for no teachers, other inputs or classes, or weights that do not fit.
    """
    if not isinstance(teachers, (list, tuple)) or not teachers:
        raise ValueError(
            f"teachers must be a list of one network or more. Received: {limits.shown(teachers)}"
        )
    limits.check_choice("teacher_average", average, AVERAGES)
    shares = _shares(weights, len(teachers))
    asked = [_as_layer(teacher, place, average) for place, teacher in enumerate(teachers, 1)]
    _check_alike("inputs", [outputs.input_shapes(each) for each in asked])
    inputs = _inputs_of(asked)
    answers = [each(inputs, training=False) for each in asked]
    _check_alike("classes", [[tuple(each.shape)] for each in answers])
    averaged = AveragedLogits(shares, average, temperature, name="average")(answers)
    return keras.Model(inputs, averaged, name="teachers")


def one_teacher(teacher, weights, average, temperature):
    """The network that a Distiller asks: `teacher` itself, or the `ensemble` of a list.

    Raises:
      ValueError: as `ensemble`; for weights without a list.
    """
    if isinstance(teacher, (list, tuple)):
        return ensemble(teacher, weights, average, temperature)
    if weights is not None:
        raise ValueError(
            f"teacher_weights needs a list of teachers. Received: teacher_weights={limits.shown(weights)}"
        )
    return teacher


class AveragedTargets:
    """The mean of what several teachers said before, each cached by itself: a `TeacherTargets`.

    Args:
      kept: the `TeacherLogits` of each teacher, of the same views.
      weights, average, temperature: as for `ensemble`.

    Raises:
      ValueError: for no logits, other views, or weights that do not fit.
    """

    def __init__(self, kept, weights=None, average="probabilities", temperature=4.0):
        views = [each.views for each in kept]
        if len(set(views)) != 1:
            raise ValueError(
                f"the logits of several teachers must be of the same number of views. Received: views {views}"
            )
        limits.check_choice("teacher_average", average, AVERAGES)
        self._kept = list(kept)
        self._average = AveragedLogits(_shares(weights, len(kept)), average, temperature)
        self.views = views[0]
        self.identity = {"teachers": [each.identity for each in kept]} | _how(self._average)

    def check(self, teachers, dataset, schedule):
        """Raises a ValueError if these are not the logits of these teachers, in this order."""
        if not isinstance(teachers, (list, tuple)) or len(teachers) != len(self._kept):
            raise ValueError(
                f"the cached logits of {len(self._kept)} teachers need a list of these teachers. "
                f"Received: teacher={limits.shown(teachers)}"
            )
        for place, (kept, teacher) in enumerate(zip(self._kept, teachers, strict=True), 1):
            try:
                kept.check(teacher, dataset, schedule)
            except ValueError as error:
                raise ValueError(f"teacher {place}: {error}") from error

    def train(self, view, index):
        """float32 `[n, classes]`: see `TeacherLogits.train`."""
        return self._mean([each.train(view, index) for each in self._kept])

    def validation(self, start, stop):
        """float32 `[stop - start, classes]`: see `TeacherLogits.validation`."""
        return self._mean([each.validation(start, stop) for each in self._kept])

    def _mean(self, answers):
        return np.asarray(ops.convert_to_numpy(self._average(answers)))


def identity(teacher):
    """`{name: JSON value}`: how an `ensemble` averages, which no weight says; of another network empty."""
    averages = _averages_in(teacher)
    return {"teacher_averages": [_how(each) for each in averages]} if averages else {}


def _how(average):
    return {"shares": average.shares, "average": average.average, "temperature": average.temperature}


def check_average(teacher, independent, temperature):
    """Raises a ValueError for an `ensemble` that averages other probabilities than the Distiller compares.

    Args:
      teacher: a network.
      independent: whether each output is a yes or no, of which softmax says nothing.
      temperature: of the Distiller.
    """
    averaged = [each.temperature for each in _averages_in(teacher) if each.average == "probabilities"]
    other = [each for each in averaged if each != temperature]
    if other:
        raise ValueError(
            f"probabilities of several teachers are averaged at the Distiller's temperature: make the "
            f'ensemble with temperature={temperature}, or average="logits". Received: temperature={other[0]}'
        )
    if independent and averaged:
        raise ValueError(
            "probabilities of several teachers are averaged over classes that exclude each other, and with "
            'BinaryCrossentropy each output is a yes or no: take teacher_average="logits". '
            "Received: teacher_average='probabilities'"
        )


def check_one(teacher, name):
    """Raises a ValueError for an `ensemble`, told in the name of what asks it for layers."""
    averages = _averages_in(teacher)
    if averages:
        raise ValueError(
            f"{name} looks at layers of the teacher, which needs one teacher: give a network "
            f"in place of several. Received: the mean of {len(averages[0].shares)} teachers"
        )


def _averages_in(teacher):
    return [each for each in graph.all_layers(teacher) if isinstance(each, AveragedLogits)]


def _shares(weights, count):
    weights = [1.0] * count if weights is None else weights
    fits = isinstance(weights, (list, tuple, np.ndarray)) and len(weights) == count
    fits = fits and all(checks.is_real(each) and 0 <= each < np.inf for each in weights)
    if not fits or not sum(weights):
        raise ValueError(
            f"teacher_weights must be {count} numbers >= 0, one for each teacher, and not all 0. "
            f"Received: teacher_weights={limits.shown(weights)}"
        )
    return [float(each) / float(sum(weights)) for each in weights]


def _as_layer(teacher, place, average):
    """A network that returns the teacher's logits, on its layers, with a name of its own."""
    role = f"teacher {place}"
    network_checks.check_network(teacher, role)
    if outputs.input_shapes(teacher) is None:
        raise ValueError(f"{role} is not built: give it a keras.Input. Received: {teacher.name!r}")
    logits = outputs.with_logits(teacher, role, independent=average == "logits")
    with graph.deep_graphs():
        return keras.Model(*outputs.symbolic_ends(logits), name=f"teacher_{place}")


def _inputs_of(networks):
    """Inputs like the first network's, their sizes known where those of any network are."""
    shapes = iter(zip(*map(outputs.input_shapes, networks), strict=True))

    def known(*sizes):
        return next((size for size in sizes if size is not None), None)

    return keras.tree.map_structure(
        lambda x: keras.Input(
            batch_shape=tuple(map(known, *next(shapes))),
            dtype=x.dtype,
            name=x.name,
        ),
        graph.inputs_of(networks[0]),
    )


def _check_alike(what, shapes):
    """Raises a ValueError if two teachers differ in what they take or return, as far as that is known."""
    for (place, one), (other_place, other) in itertools.combinations(enumerate(shapes, 1), 2):
        if not checks.may_be_equal(one, other):
            told, other_told = (", ".join(map(str, each)) for each in (one, other))
            raise ValueError(
                f"teachers must have the same {what}. Received: shapes {told} (teacher {place}) and "
                f"{other_told} (teacher {other_place})"
            )


@keras.saving.register_keras_serializable(package="keras_kd")
class AveragedLogits(keras.Layer):
    """The logits of several networks as one, in float32.

    Args:
      shares: weights with sum 1.
      average, temperature: as for `ensemble`.
    """

    def __init__(self, shares, average="probabilities", temperature=4.0, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.shares = list(shares)
        self.average = average
        self.temperature = check_temperature(temperature)
        self.built = True

    def call(self, answers):
        """float32 `[batch, classes]`, from a list of such."""
        answers = [ops.cast(each, "float32") for each in answers]
        if self.average == "logits":
            return sum(share * each for share, each in zip(self.shares, answers, strict=True))
        softened = [
            np.float32(np.log(share)) + ops.log_softmax(each / self.temperature)
            for share, each in zip(self.shares, answers, strict=True)
            if share
        ]
        return self.temperature * ops.logsumexp(ops.stack(softened), axis=0)

    def get_config(self):
        return {**super().get_config(), **_how(self)}
