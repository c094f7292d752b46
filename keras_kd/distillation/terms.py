"""The terms of a Distiller: losses beside labels and soft targets, each with a weight and its layers."""

import collections
import re

import keras
from keras import ops

from keras_kd import losses
from keras_kd.distillation import several_teachers
from keras_kd.losses import DistillationTerm, FeatureTerm, per_example, without_reduction
from keras_kd.losses.tails import TailLoss
from keras_kd.models import data_format, graph, outputs
from keras_kd.utils import checks, limits


class Term:
    """One of the `terms`: a loss, its weight, the layers that it looks at, and weights of its own.

    Args:
      weight: a number or a `LearningRateSchedule` of the steps.
      loss: a `keras.distillation.DistillationLoss`.
      teacher: the network that is asked, or None where its logits come with the labels.
      student: the network that is trained.

    Attributes:
      teacher_layers, student_layers: names of layers, or "logits".
      adaptor: a `keras.Layer` with the loss's own weights, or None.

    Raises:
      ValueError: if the loss cannot compare the layers that it looks at, or there are none.
    """

    def __init__(self, weight, loss, teacher, student):
        is_schedule = isinstance(weight, keras.optimizers.schedules.LearningRateSchedule)
        self.weight = (
            weight if is_schedule else float(limits.TERM_WEIGHT.check("the weight of a term", weight))
        )
        self.loss = loss
        self._unreduced = without_reduction(loss)
        self.teacher_layers, self.student_layers = _layers_of(loss, teacher, student)
        self.adaptor = None
        if teacher is not None:
            self.adaptor = self._bridge(teacher, student)

    def weight_at(self, step):
        """The weight in a step of the Distiller: a number or a scalar tensor."""
        return self.weight if isinstance(self.weight, float) else self.weight(step)

    @property
    def asks_layers(self):
        """Whether only the teacher itself will do, not its logits."""
        return self.teacher_layers != ["logits"]

    @property
    def compares_examples(self):
        """Whether it answers with a scalar."""
        return getattr(self.loss, "compares_examples", False)

    @property
    def asks_labels(self):
        """Whether it asks for labels."""
        return getattr(self.loss, "asks_labels", False)

    def check_outputs(self, count):
        """Raises a ValueError where the loss says nothing of networks with so many outputs."""
        if isinstance(self.loss, DistillationTerm):
            self.loss.check_outputs(count)

    @property
    def asks_examples(self):
        """Whether it computes something of the training examples before training."""
        return getattr(self.loss, "asks_examples", False)

    @property
    def is_prepared(self):
        """Whether that was done, where it asks for it."""
        return not self.asks_examples or self.loss.is_prepared(self.adaptor)

    def _bridge(self, teacher, student):
        """Checks that the layers can be compared; returns the loss's adaptor, if it has one."""
        of_networks = ((teacher, self.teacher_layers), (student, self.student_layers))
        for model, names in of_networks:
            if names != ["logits"]:
                layers = [name for name in names if name != "logits"]
                graph.check_layers(model, layers)
                if getattr(self.loss, "channels_last", False):
                    data_format.check_channels_last(model, layers)
        self.loss.validate_model_compatibility(teacher, student)
        shapes = [[_shape(model, name) for name in names] for model, names in of_networks]
        if not isinstance(self.loss, FeatureTerm):
            self._check_shapes(shapes[0][0], shapes[1][0])
            return None
        for index, pair in enumerate(zip(*shapes, strict=True)):
            reason = self.loss.mismatch(*pair)
            if reason:
                raise self._cannot_compare(index, pair, reason)
        self.begin(teacher, student)
        return self.loss.make_adaptor(*shapes)

    def begin(self, teacher, student):
        """Lets a loss of layers set what it takes from the teacher as it is now."""
        if isinstance(self.loss, FeatureTerm):
            self.loss.begin(teacher, student)

    def _cannot_compare(self, index, shapes, advice):
        return ValueError(
            f"{type(self.loss).__name__} cannot compare the output of {self.teacher_layers[index]!r} "
            f"(teacher) with that of {self.student_layers[index]!r} (student): {advice}. "
            f"Received: shapes {shapes[0]} and {shapes[1]}"
        )

    def _check_shapes(self, teacher, student):
        """Tries outputs of unequal shapes: Keras's losses would fail in a step, or repeat one of the two."""
        if teacher is None or student is None or checks.may_be_equal(teacher, student):
            return
        cause = None
        try:
            if not self._is_elementwise():
                outputs_of = (
                    {self.teacher_layers[0]: _zeros(teacher)},
                    {self.student_layers[0]: _zeros(student)},
                )
                self(*outputs_of, ops.zeros([1], "int32"))
                return
        except Exception as error:  # of the loss, which may be anyone's
            cause = error
        advice = "take layers of one shape, or a loss that knows both"
        raise self._cannot_compare(0, (teacher, student), advice) from cause

    def _is_elementwise(self):
        """Whether the loss is Keras's own, inside Keras's own term."""
        inside = keras.tree.flatten(getattr(self.loss, "loss", None))
        own = [each is None or _name(each) in vars(keras.losses) for each in inside]
        return type(self.loss) is keras.distillation.FeatureDistillation and all(own)

    def __call__(self, teacher, student, labels=None, training=False):
        """What the loss says of a batch: float32 `[batch]` or, where it `compares_examples`, a scalar.

        Args:
          teacher, student: `{layer name or "logits": what it computes}`.
          labels: as the Distiller got them, or None.
          training: whether weights of the loss's own are trained.
        """
        teacher = [teacher[name] for name in self.teacher_layers]
        student = [student[name] for name in self.student_layers]
        if not isinstance(self.loss, FeatureTerm):
            (teacher,), (student,) = teacher, student
        if not isinstance(self.loss, DistillationTerm):
            self.loss.validate_outputs(teacher, student)
            return per_example(self._unreduced, teacher, student)
        asked = {"labels": labels} if self.loss.asks_labels else {}
        asked |= {"training": training} if self.loss.asks_training else {}
        asked |= {} if self.adaptor is None else {"adaptor": self.adaptor}
        values = self.loss.call(teacher, student, **asked)
        self._check_values(values, keras.tree.flatten(student)[0].shape[0])
        return values

    def _check_values(self, values, rows):
        """Raises a ValueError where a loss says neither one value per example nor, if it may, a scalar.

        Args:
          values: what it returned.
          rows: how many examples there are, None where that is not known.
        """
        shape = tuple(values.shape) if hasattr(values, "shape") else None
        if self.compares_examples:
            wanted, fits = "a scalar, as its compares_examples says", shape == () or checks.is_real(values)
        else:
            wanted = "one value per example, [batch], or set compares_examples = True and return a scalar"
            fits = shape is not None and len(shape) == 1 and shape[0] in (None, rows)
        if not fits:
            raise ValueError(
                f"{type(self.loss).__name__}.call must return {wanted}. "
                f"Received: {limits.shown(values) if shape is None else f'shape {shape}'}"
            )


def _name(loss):
    return type(loss).__name__ if isinstance(loss, keras.losses.Loss) else getattr(loss, "__name__", "")


def _shape(model, layer):
    """The shape of a layer's output, batch included, or a structure of such; None if it is not known."""
    if layer == "logits" and isinstance(model, keras.Sequential):  # its `output` is there once it was called
        (output,) = getattr(model, "outputs", None) or (None,)
    elif layer == "logits":
        output = model.output if getattr(model, "inputs", None) else None
    else:
        output = model.get_layer(layer).output
    return None if output is None else keras.tree.map_structure(lambda x: tuple(x.shape), output)


def _zeros(shapes):
    """A batch of one example of such shapes."""
    if checks.is_shape(shapes):
        return ops.zeros([1, *(size or outputs.UNKNOWN_SIZE for size in shapes[1:])])
    values = shapes.values() if isinstance(shapes, dict) else shapes
    zeros = [_zeros(value) for value in values]
    return dict(zip(shapes, zeros, strict=True)) if isinstance(shapes, dict) else zeros


def named_terms(terms, teacher, student):
    """`{name: Term}`, named after the class, `TailLoss` "tail_loss", numbered where that is not unique."""
    named, used = {}, collections.Counter(("hard", "soft"))
    for weight, loss in weighted(terms):
        name = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", type(loss).__name__).lower().removesuffix("_loss")
        used[name] += 1
        number = f"_{used[name]}" if used[name] > 1 else ""
        named[f"{name}{number}_loss"] = Term(weight, loss, teacher, student)
    return named


def weighted(terms):
    """`[(weight, loss)]` of terms, given as to a `Distiller`.

    Raises:
      ValueError: for what is no list of losses or such pairs.
    """
    if not isinstance(terms, (list, tuple)):
        raise ValueError(
            f"terms must be a list, of losses or pairs (weight, loss). Received: terms={terms!r}"
        )
    return [_weighted(term) for term in terms]


def _weighted(term):
    """`(weight, loss)` of one of the terms.

    Raises:
      ValueError: for what is neither a loss nor such a pair.
    """
    pair = term if isinstance(term, (tuple, list)) else (1.0, term)
    if len(pair) != 2 or not isinstance(pair[1], keras.distillation.DistillationLoss):
        raise ValueError(
            "each of the terms must be a keras.distillation.DistillationLoss or a pair "
            f"(weight, loss). Received: {term!r}"
        )
    return pair


_KERAS = (keras.distillation.LogitsDistillation, keras.distillation.FeatureDistillation)


def are_known(terms):
    """Whether the losses of terms, given as to `named_terms`, are all of this package or of Keras.

    They see of the teacher what its layers compute. Another one, named in `losses.NAMES` or not, may look at
    the weights of its BatchNorm.
    """
    kinds = [type(loss) for _, loss in weighted(terms)]
    return all(kind in _KERAS or _package(kind) == _package(Term) for kind in kinds)


def _package(kind):
    return kind.__module__.partition(".")[0]


def check_independent(terms):
    """Raises a ValueError for a loss that compares classes, where labels say yes or no of each.

    Of those that have a name, in `losses.NAMES` as it is now, whoever gave it; others may know such labels.
    """
    named = (*losses.NAMES.values(), TailLoss)
    for _, loss in weighted(terms):
        asks_labels = getattr(loss, "asks_labels", False)
        if type(loss) in named and (asks_labels or not isinstance(loss, FeatureTerm)):
            raise ValueError(
                f"{type(loss).__name__} compares classes that exclude each other, and these labels say yes "
                f"or no of each class: take kd, or a loss of layers that asks for no labels"
            )


def check_labels(terms, label_loss, independent):
    """Raises a ValueError for a loss that compares classes or asks for them, where labels are none.

    Labels of a function or class of one's own are taken for classes.

    Args:
      terms: as for `named_terms`.
      label_loss: as `compile` takes it.
      independent: whether it makes each output a yes or no of its own.
    """
    if independent:
        check_independent(terms)
        return
    asking = [loss for _, loss in weighted(terms) if getattr(loss, "asks_labels", False)]
    found = keras.losses.get(label_loss)
    is_keras = any(each in (found, type(found)) for each in vars(keras.losses).values())
    if asking and is_keras and "categorical" not in _name(found).lower():
        raise ValueError(
            f"{type(asking[0]).__name__} asks for the class of each example, which labels of {_name(found)} "
            f"need not say: compile with keras.losses.SparseCategoricalCrossentropy(from_logits=True). "
            f"Received: loss={label_loss!r}"
        )


def ask_layers(terms):
    """Whether some of the terms, given as to `named_terms`, look at layers of the teacher."""
    return any(_asks_layers(loss) for _, loss in weighted(terms))


def _asks_layers(loss):
    return isinstance(loss, FeatureTerm) or bool(getattr(loss, "teacher_layer_name", None))


def teacher_layers(terms, teacher, student):
    """Names of the teacher's layers that terms, given as to `named_terms`, look at; "logits" of its end."""
    return {name for _, loss in weighted(terms) for name in _layers_of(loss, teacher, student)[0]}


def _layers_of(loss, teacher, student):
    """`(names in the teacher, names in the student)`, lists; "logits" stands for what a network returns."""
    if _asks_layers(loss):
        several_teachers.check_one(teacher, type(loss).__name__)
    if isinstance(loss, FeatureTerm):
        if teacher is None:
            raise _needs_teacher(loss, loss.teacher_layers)
        return tuple(map(list, loss.layers_of(teacher, student)))
    layers = tuple(
        [getattr(loss, name, None) or "logits"] for name in ("teacher_layer_name", "student_layer_name")
    )
    if teacher is None and layers[0] != ["logits"]:
        raise _needs_teacher(loss, layers[0])
    return layers


def _needs_teacher(loss, layers):
    of = f"a term on the teacher's layer {layers[0]!r}" if layers else type(loss).__name__
    return ValueError(f"{of} needs the teacher itself. Received: teacher=None")
