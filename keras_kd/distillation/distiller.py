"""`Distiller`: asks the teacher, asks the terms, weighs.

    loss = (1 - alpha) * CE(labels) + alpha * T^2 * KL(teacher_T || student_T)
           + the sum of `terms` + the student's own regularisers

A new method is a new loss in `terms`; nothing here has to change for it.
"""

import keras
from keras import ops

from keras_kd.distillation import compatibility
from keras_kd.distillation.arrays import check_labels_given
from keras_kd.distillation.forward import (
    Forward,
    as_outputs,
    split_labels,
    training_policy,
    weights_of_examples,
)
from keras_kd.distillation.loss_weights import LossWeights
from keras_kd.distillation.several_teachers import check_average, one_teacher
from keras_kd.distillation.terms import check_labels, named_terms
from keras_kd.distillation.trains_student import TrainsStudent
from keras_kd.losses import (
    BINARY_LOSSES,
    CLASS_LOSSES,
    BatchMean,
    SoftTargets,
    label_loss,
    replica_share,
    soft_targets_for,
)
from keras_kd.losses.labels import counted_by, ignored_by, without_ignored
from keras_kd.losses.reduction import of_global_batch
from keras_kd.models import network_checks, outputs
from keras_kd.utils import strategies

_ACCURACIES = ("teacher_accuracy", "student_accuracy")


@keras.saving.register_keras_serializable(package="keras_kd")
class Distiller(TrainsStudent):
    """Trains `student` on the labels and on the logits of `teacher`.

    Use it like any Keras model: `compile`, `fit`, `evaluate`, `predict`. For training and validation it
    logs `loss`, `hard_loss` (the labels' term), `soft_loss` (the teacher's term, with its T^2), one loss
    for each further term, `agreement`, the share of examples for which student and teacher name the same
    class, and with a cross-entropy of Keras `teacher_accuracy` and `student_accuracy`, the share that each
    has right of the examples whose label it does not ignore. Metrics given to `compile` see the student's
    logits. `sample_weight` and `class_weight` weigh every term. Compiled with
    `BinaryCrossentropy(from_logits=True)`, each output is a yes or no of its own: the teacher's term is then
    `losses.bernoulli_kl`, and `agreement` the share of equal decisions.

        loss = (1 - alpha) * hard_loss + alpha * soft_loss + terms + regularisers

    The teacher runs once a step, in inference mode and without gradient. It is never changed, its
    `trainable` flags included: only the student's weights count as trainable here.

    Labels given as `{"labels": ..., "teacher_logits": float [batch, classes]}` bring the teacher's logits
    along (see `keras_kd.distillation.cache_logits`), and `teacher` may then be None. Only terms on its
    layers ask it all the same. (Keras allows no `class_weight` then: weigh by `sample_weight`.)

    Calling the Distiller calls the student up to its logits; with terms on layers inside the networks it
    returns `{"logits": ..., layer name: ...}`. `predict` returns what the student itself does: logits, or
    probabilities where it ends in softmax or sigmoid.

    Args:
      teacher: a `keras.Model` from inputs to logits `[batch, classes]`, or to their softmax or sigmoid, which
        is then left out (see `keras_kd.models.outputs`); a list of such (see `distillation.ensemble`); None
        where its logits come with the labels.
      student: a `keras.Model` with the same inputs and classes. It stays yours:
        `distiller.student` is the object that you passed.
      temperature: softening factor T, > 0, dimensionless.
      alpha: weight of the teacher's term in [0, 1], or a `LearningRateSchedule` that gives it
        for the step: the number of batches that this Distiller was trained on so far.
      label_weight: weight of the labels' term; None: 1 - alpha.
      terms: further losses, each a `keras.distillation.DistillationLoss` (such as Keras's
        `FeatureDistillation`) or a pair `(weight, loss)`; the weight is 1 if not given.
        They are added as they are, not scaled by alpha. A term of Keras is asked about one example at a
        time, so that each can be weighted; `losses.DistillationTerm`s may ask for more.
      teacher_weights, teacher_average: of a list of teachers, `weights` and `average` of `ensemble`.
      images: a `keras_kd.data.device_images.DeviceImages` where batches name images that lie on the device;
        None: batches are images.
      name: of the model.

    Raises:
      ValueError: for a temperature or alpha out of range; for teacher and student whose input shapes or
        class counts differ, or that share weights; for a network that returns probabilities and whose logits
        cannot be had (of a subclassed model that is only known if it was called before); for terms on a
        teacher's layers without a teacher.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
    """

    def __init__(
        self,
        teacher,
        student,
        *,
        temperature=4.0,
        alpha=0.9,
        label_weight=None,
        terms=(),
        teacher_weights=None,
        teacher_average="probabilities",
        images=None,
        name="distiller",
    ):
        network_checks.check_network(student, "student")
        teacher = one_teacher(teacher, teacher_weights, teacher_average, temperature)
        super().__init__(name=name, dtype=training_policy(student), autocast=False)
        if keras.backend.backend() == "tensorflow":
            strategies.check_only(self.distribute_strategy)
        self.soft_targets = SoftTargets(temperature)
        self.teacher = teacher
        self.student = student
        self._images = images
        self._knows_labels = False
        if teacher is None:
            compatibility.check_classes(student, "student", independent=True)
        else:
            compatibility.check_pair(teacher, student, independent=True)
        self.terms = named_terms(terms, teacher, student)
        self._weighing = LossWeights(alpha, label_weight, self.terms)
        self.adaptors = {name: term.adaptor for name, term in self.terms.items() if term.adaptor is not None}
        self._ask_teacher = teacher and Forward(teacher, self._looked_at("teacher_layers"))
        self._ask_student = Forward(student, self._looked_at("student_layers"))
        self._means = {
            name: keras.metrics.Mean(name=name)
            for name in ("hard_loss", "soft_loss", *self.terms, "agreement", *_ACCURACIES)
        }
        counter = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        self.step = self.add_weight(name="step", shape=(), dtype="int", initializer="zeros", **counter)
        if all(model.built for model in self._models()):
            self.build()

    def _looked_at(self, of_network):
        return [name for term in self.terms.values() for name in getattr(term, of_network)]

    @property
    def temperature(self):
        """Softening factor T."""
        return self.soft_targets.temperature

    @property
    def alpha(self):
        """Weight of the teacher's term: a number, or a schedule of the steps."""
        return self._weighing.alpha

    @property
    def label_weight(self):
        """Weight of the labels' term, 0 if alpha is 1 and none was given; None: 1 - alpha, at each step."""
        return self._weighing.label_weight

    def alpha_now(self):
        """The weight of the teacher's term in the next step: a number or a scalar tensor."""
        return self._weighing.alpha_at(self.step)

    def weights_now(self):
        """`{name in the logs: its weight in the next step}` of all that the loss is a sum of."""
        return {name: float(weight) for name, weight in self._weighing.at(self.step).items()}

    def _models(self):
        return [self.student] if self.teacher is None else [self.teacher, self.student]

    def build(self, input_shape=None):
        for model in self._models():
            if not model.built:
                model(keras.tree.map_shape_structure(keras.KerasTensor, input_shape))
        if self.teacher is not None:
            compatibility.check_separate(self.teacher, self.student)
        self.built = True

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, **kwargs):
        """Configures training, as for any Keras model.

        Args:
          optimizer: of the student.
          loss: of the labels, on the student's logits: a name, function or `keras.losses.Loss` (sparse or
            one-hot). Every other term is reduced the way it is. None trains on the teacher alone and needs
            `alpha=1`, but no labels.
          loss_weights: not supported: alpha and the terms' weights are the weights.
          metrics, **kwargs: as for `keras.Model.compile`.

        Raises:
          ValueError: for a loss that expects probabilities, for more than one loss, or for none
            although alpha is below 1; for terms on classes where the labels are none.
        """
        if loss_weights is not None:
            raise ValueError(
                "the losses are weighed by alpha and by the weights of the terms. "
                f"Received: loss_weights={loss_weights!r}"
            )
        self._weighing.check_loss(loss)
        self._label_loss = None if loss is None else label_loss(loss)
        self._knows_labels = isinstance(self._label_loss, (*CLASS_LOSSES, *BINARY_LOSSES))
        self.soft_targets = soft_targets_for(self._label_loss, self.temperature)
        check_average(self.teacher, self.soft_targets.independent, self.temperature)
        for each in (self.soft_targets, *self.terms.values()):
            each.check_outputs(compatibility.output_count(self.student))
        check_labels([term.loss for term in self.terms.values()], loss, self.soft_targets.independent)
        for model in self._models():
            outputs.with_logits(model, independent=self.soft_targets.independent)
        self._reduce = BatchMean(getattr(self._label_loss, "reduction", "sum_over_batch_size"))
        # Keras would wait for its own copy of the loss to be built, and look at the data each time.
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)
        self.loss = loss

    def call(self, inputs, training=None):
        return self._ask_student(self._look_up(inputs), training)

    def _look_up(self, inputs):
        """The images of a batch, where it only names them."""
        return inputs if self._images is None else self._images(inputs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Combines the terms by the formula of this module; each is added to its metric.

        Returns:
          Scalar: the loss of the batch, on N replicas 1/N of the replica's share.
        """
        share = replica_share()
        # Before the teacher is called: what it adds as a loss of its own is not the student's.
        regularisers = [ops.sum(loss) * share for loss in self.losses]
        labels, given = split_labels(y)
        sample_weight = weights_of_examples(sample_weight)
        check_labels_given(labels, self._label_loss)
        if self.teacher is None and given is None:
            raise ValueError(
                'without a teacher its logits must come with the labels, as {"labels": ..., '
                f'"teacher_logits": ...}}. Received: y={y!r}'
            )
        teacher, student = self._teacher_outputs(x, given), as_outputs(y_pred)
        compatibility.check_class_counts(teacher["logits"].shape[-1], student["logits"].shape[-1])
        self.soft_targets.check_outputs(student["logits"].shape[-1])

        parts = self._reduced_terms(labels, teacher, student, sample_weight, training)
        self._update_means(parts, share, self.soft_targets.agreement(teacher["logits"], student["logits"]))
        if self._knows_labels:
            self._update_accuracies(labels, teacher["logits"], student["logits"])
        step = ops.copy(self.step)
        if training:
            self.step.assign_add(1)
            parts = self._of_global_batch(parts, labels, student["logits"], sample_weight)
        return sum(regularisers, self._weighing.sum(parts, step))

    def _teacher_outputs(self, x, given):
        """What the teacher says of a batch, `{"logits": ..., layer name: ...}`, without gradient."""
        asks = given is None or any(term.asks_layers for term in self.terms.values())
        answer = as_outputs(self._ask_teacher(self._look_up(x), False)) if asks else {}
        if given is not None:  # they may be those of a control, or of fewer digits
            answer = answer | {"logits": given}
        return keras.tree.map_structure(ops.stop_gradient, answer)

    @property
    def metrics(self):
        """As Keras's, without those that the labels say nothing of."""
        names = [] if self._knows_labels else list(_ACCURACIES)
        names += ["hard_loss"] if self._label_loss is None else []
        unknown = [id(self._means[name]) for name in names]
        return [metric for metric in super().metrics if id(metric) not in unknown]

    def _reduced_terms(self, y, teacher, student, sample_weight, training):
        """The scalar of each term, by name, unweighted."""
        parts = {}
        if self._label_loss is not None:
            hard = self._label_loss(y, student["logits"], sample_weight)
            parts["hard_loss"] = ops.cast(hard, "float32")
        values = self.soft_targets.call(teacher["logits"], student["logits"])
        parts["soft_loss"] = self._reduce(values, values, sample_weight)
        labels = without_ignored(y, self._label_loss)
        for name, term in self.terms.items():
            values, weights = term(teacher, student, labels, training), sample_weight
            if term.compares_examples:  # as if each example had said it
                values, weights = ops.broadcast_to(values, ops.shape(student["logits"])[:1]), None
            parts[name] = self._reduce(values, values, weights)
        return parts

    def _of_global_batch(self, parts, labels, logits, sample_weight):
        """The terms with the gradients of means over all examples of the global batch, or over all labels."""
        share = self._reduce.share_of_batch(ops.ones(ops.shape(logits)[:1]), sample_weight)
        of_labels = share
        if ignored_by(self._label_loss) is not None:
            of_labels = self._reduce.share_of_batch(counted_by(self._label_loss, labels), sample_weight)
        return {
            name: of_global_batch(value, of_labels if name == "hard_loss" else share)
            for name, value in parts.items()
        }

    def _update_means(self, parts, share, same_class):
        for name, value in parts.items():
            self._means[name].update_state(value / share, sample_weight=ops.shape(same_class)[0])
        self._means["agreement"].update_state(same_class)

    def _update_accuracies(self, labels, teacher_logits, student_logits):
        """Of the examples whose label counts; Keras's own accuracy calls each of the others wrong."""
        counted = counted_by(self._label_loss, labels)
        for name, logits in zip(_ACCURACIES, (teacher_logits, student_logits), strict=True):
            self._means[name].update_state(self.soft_targets.accuracy(labels, logits), sample_weight=counted)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        labels, logits = split_labels(y)[0], as_outputs(y_pred)["logits"]
        return super().compute_metrics(x, labels, logits, weights_of_examples(sample_weight))

    def get_config(self):
        """As any model's; raises a ValueError with a term that holds a network."""
        self._check_can_be_read()
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "teacher": serialize(self.teacher),
            "student": serialize(self.student),
            "temperature": self.temperature,
            "alpha": serialize(self.alpha),
            "label_weight": self.label_weight,
            "terms": [[serialize(term.weight), serialize(term.loss)] for term in self.terms.values()],
        }

    def save(self, filepath, *args, **kwargs):
        """As any model's; refuses, before a file is begun, what could not be read again."""
        self._check_can_be_read()
        super().save(filepath, *args, **kwargs)

    def _check_can_be_read(self):
        holding = [term.loss for term in self.terms.values() if getattr(term.loss, "holds_network", False)]
        if holding:
            raise ValueError(
                f"a Distiller with a {type(holding[0]).__name__}, which holds a network, is not saved whole: "
                f"save the student, or the weights"
            )

    @classmethod
    def from_config(cls, config):
        return cls(**keras.saving.deserialize_keras_object(config))
