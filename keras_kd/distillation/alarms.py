"""What is likely wrong with a distillation, said in a line each, once."""

import math

import keras
import numpy as np

from keras_kd.distillation import compatibility, several_teachers, teacher_inputs
from keras_kd.models import applications, graph
from keras_kd.utils import progress

# A term that is worth so much more than all others together is all that is trained.
TOO_HEAVY = 100.0

# By how much an accuracy must be above chance to be more than that; at the most by chance itself, which is a
# thousandth where there are as many classes.
ABOVE_CHANCE = 0.02

# How a note on what the teacher knows begins.
OF_TEACHER = "the teacher is right on"

# Of numbers that two networks learnt from the same data.
ROUNDING = 1e-4


class DistillationAlarms(keras.callbacks.Callback):
    """Says when a term is 0 or not finite, or drowns the rest, and when the teacher knows nothing.

    `keras_kd.Distiller.fit` has one by itself.

    Attributes:
      notes: `{what it is about: the sentence}`, each said once.
    """

    def __init__(self):
        super().__init__()
        self.notes = {}
        self._knows_teacher = False

    def go_on(self, notes):
        """Takes the `notes` of an earlier process that trained the first epochs; they are not said again."""
        self.notes = dict(notes)
        self._knows_teacher = True

    def on_train_begin(self, logs=None):
        for line in self.notes.values():
            progress.keep_note(line)
        self._watch_scaling()

    def _watch_scaling(self):
        teacher, student = self.model.teacher, self.model.student
        if teacher is None or teacher_inputs.is_adapted(teacher):
            return
        of_student = _input_scaling(student)
        for role, network in _networks_of(teacher).items():
            found = _input_scaling(network)
            if not _are_alike(found, of_student):
                told = f"{_in_words(found)} ({role}), {_in_words(of_student)} (student)"
                numbers = ", by other numbers" if _in_words(found) == _in_words(of_student) else ""
                told = f"{role} and student get the same inputs and scale them differently: {told}{numbers}"
                self._say("scaling", told)

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        weighed = self.model.weights_now()
        self._watch_values(epoch, logs, weighed)
        self._watch_weights(logs, weighed)
        self._watch_teacher(logs)

    def _watch_values(self, epoch, logs, weighed):
        for name, weight in weighed.items():
            value = logs.get(name, 1.0)
            if not weight:
                continue
            if value == 0 and name != "hard_loss":
                self._say(name, f"{name} was 0 in the whole of epoch {epoch + 1}: it distils nothing")
            elif not math.isfinite(value):
                where = "the labels and their loss" if name == "hard_loss" else "the teacher"
                self._say(
                    name,
                    f"{name} was not finite in at least one batch of epoch {epoch + 1} "
                    f"(its mean is {value:g}): look for such values in {where} and the images",
                )

    def _watch_weights(self, logs, weighed):
        worth = {name: abs(weight * logs[name]) for name, weight in weighed.items() if name in logs}
        for name, value in worth.items():
            rest = sum(worth.values()) - value
            if rest and value > TOO_HEAVY * rest and name not in ("hard_loss", "soft_loss"):
                self._say(
                    f"weight of {name}",
                    f"{name} times its weight is {value:.3g}, {value / rest:.0f} times the rest of the loss: "
                    f"lower its weight",
                )

    def _watch_teacher(self, logs):
        accuracy, own = logs.get("val_teacher_accuracy"), logs.get("val_student_accuracy")
        if accuracy is None or self._knows_teacher:
            return
        classes = compatibility.output_count(self.model.student)
        chance = chance_beside(accuracy, classes, self.model.soft_targets.independent)
        told = f"{OF_TEACHER} {accuracy:.1%} of validation"
        if chance is not None:
            beside = "" if own is None else f", and the student on {own:.1%}"
            self._say("teacher", f"{told}, no better than chance ({chance:.1%}){beside}")
        elif own is not None and accuracy < own:
            self._say("teacher", f"{told}, and the student on {own:.1%} already")
        self._knows_teacher = True

    def _say(self, what, line):
        if what not in self.notes:
            self.notes[what] = line
            progress.note(line)


class FirstBatch(keras.callbacks.Callback):
    """Ends a training after its first step where a term compares examples and batches have but one.

    For data of which only its batches say how large they are.
    """

    def on_train_begin(self, logs=None):
        self._is_first = True

    def on_train_batch_end(self, batch, logs=None):
        if not self._is_first:
            return
        self._is_first = False
        counted = next(each for each in self.model.metrics if each.name == "agreement").count
        seen = float(keras.ops.convert_to_numpy(counted))  # by all replicas
        if seen:  # a backend may tell metrics only when an epoch ends
            self.model.check_batch(seen / (batch + 1))  # several steps may have been taken


def chance_beside(accuracy, classes, independent):
    """The share that is right by chance, where an accuracy is no better; else None.

    Args:
      accuracy: in [0, 1].
      classes: how many exclude each other; None where that is not known.
      independent: whether each output is a yes or no of its own, which a coin says as well half of the time.
    """
    chance = 0.5 if independent else classes and 1 / classes
    return chance if chance and accuracy <= chance + min(ABOVE_CHANCE, chance) else None


def _networks_of(teacher):
    """`{role: network}`: of an `ensemble` each of its teachers, else the teacher."""
    layers = getattr(teacher, "layers", ())
    if not any(isinstance(layer, several_teachers.AveragedLogits) for layer in layers):
        return {"teacher": teacher}
    networks = [layer for layer in layers if isinstance(layer, keras.Model)]
    return {f"teacher {place}": network for place, network in enumerate(networks, 1)}


# What a scaling layer's configuration says of other things.
_OF_ANY_LAYER = ("name", "dtype", "trainable")


def _input_scaling(model):
    """`[(type, configuration, weights)]` of the scaling layers that a model, or one inside it, begins with.

    None where it begins with one that undoes the normalisation of the images: it is made for them.
    """
    found = []
    for layer in graph.all_layers(model):
        if layer.name == applications.PIXELS:
            break
        if isinstance(layer, applications.SCALING):
            config = {k: v for k, v in layer.get_config().items() if k not in _OF_ANY_LAYER}
            found.append((type(layer).__name__, config, layer.get_weights()))
        elif not isinstance(layer, (keras.layers.InputLayer, keras.Model)):
            break
    return found


def _are_alike(scaling, other):
    """Whether both say the same; what is computed of data is rounded."""
    return [each[:2] for each in scaling] == [each[:2] for each in other] and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=ROUNDING, atol=ROUNDING)
        for one, its_other in zip(scaling, other, strict=True)
        for a, b in zip(one[2], its_other[2], strict=True)
    )


def _in_words(scaling):
    return ", ".join(name for name, *_ in scaling) or "not at all"
