"""What a distillation loss is: what it may ask for, and what it answers.

@keras.saving.register_keras_serializable(package="my_package")
class LogitGap(losses.DistillationTerm):
    def call(self, teacher, student):
        return ops.mean(ops.square(teacher - student), axis=-1)

keras_kd.Distiller(teacher, student, alpha=0.0, terms=[(2.0, LogitGap())])
"""

import inspect

import keras
from keras import ops

from keras_kd.losses.reduction import BatchMean
from keras_kd.models import stages
from keras_kd.utils import limits


class DistillationTerm(keras.distillation.DistillationLoss):
    """A loss between what teacher and student compute. A subclass says what it asks for and has a `call`.

    `keras_kd.Distiller(terms=...)` gives it just that. Keras's own `DistillationLoss`es are terms as well.

    Attributes:
      asks_labels: whether `call` takes `labels`: int `[batch]`, or one-hot `[batch, classes]`.
      asks_training: whether `call` takes `training`, as layers do, for a BatchNorm of its own.
      compares_examples: whether `call` returns a scalar, for it compares the examples of a batch. Weights of
        examples do not enter then; on N replicas each compares its own examples, and the mean over the
        replicas is taken, weighted by their numbers of examples.
      weight: that the source gives it.
      label_weight: that the source gives the loss of the labels beside it.
      warmup: share of the training over which the source lets the weight rise from 0.
      least_outputs: how many outputs a network must have: 2 where classes are compared.
      beside_kd: whether the source adds it to the soft targets of `keras_kd.Distiller`.
      holds_network: whether it holds a network, so that a Distiller with it is not saved whole.
    """

    asks_labels = False
    asks_training = False
    compares_examples = False
    weight = 1.0
    label_weight = 1.0
    warmup = 0.0
    least_outputs = 1
    beside_kd = False
    holds_network = False

    def call(self, teacher, student):
        """The loss of a batch.

        Args:
          teacher, student: logits `[batch, classes]`; of a `FeatureTerm`, lists of what the layers compute.
          labels: where `asks_labels` says so; -1 for the examples that the label loss ignores.
          training: where `asks_training` says so.
          adaptor: where `make_adaptor` made one.

        Returns:
          float32 `[batch]`, or a scalar where `compares_examples` says so. Nothing is reduced or divided by
          the number of replicas here.
        """
        raise NotImplementedError(f"{type(self).__name__} has no call(teacher, student)")

    def student_of(self, teacher, student):
        """The network to train and keep: the student itself, or one that the loss builds of it (SimKD)."""
        return student

    def check_outputs(self, count):
        """Raises a ValueError where the loss says nothing of so many outputs; None: not known."""
        if count is not None and count < self.least_outputs:
            raise ValueError(
                f"{type(self).__name__} compares classes: give both networks a logit for each of at least "
                f"{self.least_outputs}. Received: logits of shape [batch, {count}]"
            )

    def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        """Scalar: the mean over the batch, as Keras's own Distiller asks for it.

        Raises:
          TypeError: where the loss asks for what only `keras_kd.Distiller` gives.
        """
        if self.asks_labels or isinstance(self, FeatureTerm):
            raise TypeError(
                f"{type(self).__name__} asks for labels or for several layers: use it as one of the terms of "
                f"keras_kd.Distiller"
            )
        values = ops.reshape(self.call(teacher_outputs, student_outputs), (-1,))
        return BatchMean()(values, values)

    def get_config(self):
        """What the class is made of again.

        Raises:
          NotImplementedError: for a subclass with options that it returns none of.
        """
        _check_returned(type(self), DistillationTerm, {})
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _check_returned(kind, base, config):
    """Raises a NotImplementedError for options of a class that the configuration of its base lacks."""
    tells, makes = (
        next(each for each in kind.__mro__ if name in vars(each)) for name in ("get_config", "__init__")
    )
    if tells is not base or makes is base or not issubclass(makes, base):
        return
    options = list(inspect.signature(makes.__init__).parameters.values())[1:]
    named = [each.name for each in options if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    if lost := [name for name in named if name not in config]:
        raise NotImplementedError(
            f"{kind.__name__} has options that its get_config does not return, and would be saved and told "
            f"apart without them: give it a get_config that returns them as well. Received: options {lost}"
        )


class FeatureTerm(DistillationTerm):
    """A loss between layers of both networks, by default the sum of `compare` over their pairs.

    Args:
      teacher_layers, student_layers: a name, or names of layers, as many of each; None: what `looks_at` says.

    Raises:
      ValueError: for what is no name, or not as many of each.

    Attributes:
      looks_at: "stages" (the last layer of each, paired by height and width), "last_stage" or "penultimate"
        (what the last dense layer takes).
      channels_last: whether it knows height and width from channels, and takes maps of channels last alone.
      asks_examples: whether there is something to `prepare` before training.
    """

    looks_at = "stages"
    channels_last = True
    asks_examples = False

    def __init__(self, teacher_layers=None, student_layers=None):
        if (teacher_layers is None) != (student_layers is None):
            raise ValueError(
                "layers are named in both networks or in none. "
                f"Received: teacher_layers={teacher_layers!r}, student_layers={student_layers!r}"
            )
        self.teacher_layers = _names_of("teacher_layers", teacher_layers)
        self.student_layers = _names_of("student_layers", student_layers)
        if self.teacher_layers == []:
            raise ValueError(
                "name one layer or more, or give None for those that the loss looks at by itself. "
                f"Received: teacher_layers={teacher_layers!r}, student_layers={student_layers!r}"
            )
        if self.teacher_layers is not None and len(self.teacher_layers) != len(self.student_layers):
            raise ValueError(
                "as many layers of the teacher as of the student are needed. "
                f"Received: teacher_layers={teacher_layers!r}, student_layers={student_layers!r}"
            )

    def layers_of(self, teacher, student):
        """`(names in the teacher, names in the student)`, in pairs.

        Raises:
          ValueError: where none are named and the networks have none that are alike.
        """
        if self.teacher_layers is not None:
            return self.teacher_layers, self.student_layers
        return stages.PAIRS[self.looks_at](teacher, student)

    def begin(self, teacher, student):
        """Is called when the Distiller is made, and again as its training begins, the teacher trained.

        It may set weights of what `student_of` made, and raise a ValueError for what cannot be compared. A
        training that goes on does not begin again.
        """

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared, as the end of a sentence; "" where they can.

        Args:
          teacher_shape, student_shape: of what the layers compute, batch included; None where a size is open.
        """
        return ""

    def make_adaptor(self, teacher_shapes, student_shapes):
        """A `keras.Layer` with weights of the loss's own, built; None where it has none.

        Its trainable weights are trained with the student's and saved with the Distiller; no exported student
        has them.

        Args:
          teacher_shapes, student_shapes: lists of shapes, batch included.
        """

    def is_prepared(self, adaptor):
        """Whether nothing is left to `prepare`."""
        return True

    def prepare(self, adaptor, batches):
        """Computes once, before training, what the adaptor keeps in its weights.

        Args:
          adaptor: what `make_adaptor` made.
          batches: iterable over the training examples, of pairs `(teacher, labels)`: what its layers
            compute, a list of float32 NumPy arrays, and the labels as `call` gets them.
        """

    def call(self, teacher, student):
        return sum(self.compare(*pair) for pair in zip(teacher, student, strict=True))

    def compare(self, teacher, student):
        """What `call` sums up: float32 `[batch]` or a scalar, for what one pair of layers computes."""
        raise NotImplementedError(f"{type(self).__name__} has no compare(teacher, student)")

    def get_config(self):
        config = {"teacher_layers": self.teacher_layers, "student_layers": self.student_layers}
        _check_returned(type(self), FeatureTerm, config)
        return config


def _names_of(argument, layers):
    """Layers as a list of names, or None."""
    names = [layers] if isinstance(layers, str) else layers
    if names is None:
        return None
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"layers are given by name: take one name, or a list of such. "
            f"Received: {argument}={limits.shown(layers)}"
        )
    return list(names)
