"""One value per example from any loss, and the mean that is right on any number of replicas."""

import copy

import keras
from keras import ops


class BatchMean(keras.losses.Loss):
    """Reduces `[batch]` values as Keras reduces a loss, under `tf.distribute` as well.

    Called as `BatchMean()(values, values, sample_weight)`. On N replicas the mean over a
    replica's examples is divided by N, so that the gradients, which are summed over the
    replicas, are those of the mean over the global batch. A bare `ops.mean` is N times too big.
    """

    def __init__(self, reduction="sum_over_batch_size", name="batch_mean"):
        super().__init__(name=name, reduction=reduction, dtype="float32")

    def call(self, y_true, y_pred):
        return y_pred

    def share_of_batch(self, counted, sample_weight=None):
        """This replica's number of examples over the mean number of all replicas: see `of_global_batch`.

        Args:
          counted: float32 `[batch]`: 1 for the examples that a loss is of, 0 for those that it ignores.
          sample_weight: `[batch]`, as it was reduced with, or None.

        Returns:
          A scalar; None where nothing is to be corrected: on one replica, and for sums.
        """
        if self.reduction == "sum":
            return None
        if self.reduction == "mean_with_sample_weight" and sample_weight is not None:
            counted = counted * ops.reshape(ops.cast(sample_weight, "float32"), ops.shape(counted))
        return _share_of_batch(ops.sum(counted))


def replica_share():
    """1 / number of replicas: what Keras makes of a loss of one. Its only public word on that."""
    one = ops.ones((1,))
    return BatchMean()(one, one)


def of_global_batch(loss, share):
    """Lets each example of the global batch weigh the same, where replicas have unequal shares of it.

    Keras takes the mean over each replica's examples and then that of the replicas: of 5 and 4 examples
    each of the 4 would weigh more.

    Args:
      loss: scalar, a mean over this replica's examples divided by the number of replicas.
      share: of `BatchMean.share_of_batch`.

    Returns:
      The same value, which Keras's logs weigh by the number of examples themselves; its gradient is that of
      the mean over the global batch.
    """
    if share is None:
        return loss
    return ops.stop_gradient(loss) + share * (loss - ops.stop_gradient(loss))


def _share_of_batch(count):
    """This replica's count over the mean count of all; None where there is one replica."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return None
    total = replica.all_reduce(tf.distribute.ReduceOp.SUM, count)
    return tf.math.divide_no_nan(count * replica.num_replicas_in_sync, total)


def per_example(term, teacher_outputs, student_outputs):
    """Asks a `keras.distillation.DistillationLoss` of Keras for one value per example.

    Its terms answer with one scalar for the whole batch, in which no example can be
    weighted any more. They are asked about one example at a time instead; the losses inside
    them must not reduce (see `without_reduction`).

    Args:
      term: a `DistillationLoss`.
      teacher_outputs: tensor `[batch, ...]`, or a structure of such.
      student_outputs: as `teacher_outputs`.

    Returns:
      float32 `[batch]`.
    """

    def of_one_example(outputs):
        teacher, student = keras.tree.map_structure(
            lambda x: ops.cast(ops.expand_dims(x, 0), "float32"), outputs
        )
        return term.compute_loss(teacher, student)

    return ops.vectorized_map(of_one_example, (teacher_outputs, student_outputs))


def without_reduction(term):
    """A copy of a `DistillationLoss` whose inner `keras.losses.Loss` objects do not reduce.

    A `Loss` that reduces also divides by the number of replicas, which `BatchMean` does again.
    """
    if not hasattr(term, "loss"):
        return term

    term = copy.copy(term)
    term.loss = keras.tree.map_structure(_unreduced, term.loss)
    return term


def _unreduced(loss):
    """A copy of a `keras.losses.Loss` that does not reduce; of anything else the same.

    With all that it holds: its configuration may lack some, and `copy.copy` goes by that as well, for Keras
    pickles by saving.
    """
    if not isinstance(loss, keras.losses.Loss):
        return loss
    twin = object.__new__(type(loss))
    vars(twin).update(vars(loss) | {"reduction": "none"})
    return twin


def label_loss(loss):
    """The `keras.losses.Loss` on logits that `compile(loss=...)` names.

    Args:
      loss: a name, a function of `(y_true, y_pred)`, or a `keras.losses.Loss`.

    Returns:
      A `keras.losses.Loss` that reduces.

    Raises:
      ValueError: for a loss of probabilities, one that does not reduce, or several losses.
    """
    if keras.tree.is_nested(loss):
        raise ValueError(f"one loss is needed, for the labels. Received: loss={loss!r}")
    found = keras.losses.get(loss)
    takes_probabilities = (
        found in PROBABILITY_LOSSES
        or isinstance(found, _PROBABILITY_CLASSES)
        or getattr(found, "get_config", dict)().get("from_logits") is False
    )
    if takes_probabilities:
        raise ValueError(
            f"the networks return logits, but this loss takes probabilities: use for instance "
            f"keras.losses.{_of_logits(found)}(from_logits=True). Received: loss={loss!r}"
        )
    if not isinstance(found, keras.losses.Loss):
        return _FunctionLoss(found)
    if found.reduction in (None, "none"):
        raise ValueError(f"the loss must reduce to a scalar. Received: reduction={found.reduction!r}")
    return found


def _of_logits(found):
    """The name of a loss of logits that may be meant by one of probabilities."""
    name = getattr(found, "__name__", type(found).__name__)
    return "BinaryCrossentropy" if name.lower().startswith("binary") else "SparseCategoricalCrossentropy"


PROBABILITY_LOSSES = (
    keras.losses.sparse_categorical_crossentropy,
    keras.losses.categorical_crossentropy,
    keras.losses.categorical_focal_crossentropy,
    keras.losses.binary_crossentropy,
    keras.losses.binary_focal_crossentropy,
    keras.losses.kl_divergence,
    keras.losses.categorical_generalized_cross_entropy,
    keras.losses.dice,
    keras.losses.tversky,
)

# Of Keras, those that have no `from_logits` which would say it.
_PROBABILITY_CLASSES = (
    keras.losses.KLDivergence,
    keras.losses.CategoricalGeneralizedCrossEntropy,
    keras.losses.Dice,
    keras.losses.Tversky,
)


class _FunctionLoss(keras.losses.Loss):
    """A function of `(y_true, y_pred)` with one value per example, as a `Loss`."""

    def __init__(self, function):
        super().__init__(name="label_loss")
        self._function = function

    def call(self, y_true, y_pred):
        return self._function(y_true, y_pred)
