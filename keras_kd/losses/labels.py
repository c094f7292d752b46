"""Labels as losses take them: class numbers or one-hot rows."""

import keras
from keras import ops


def class_numbers(labels):
    """int32 `[batch]`: the class of each example.

    Args:
      labels: int `[batch]` or `[batch, 1]`, or one-hot `[batch, classes]` (smoothed or mixed: the largest).
    """
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == 1:
        return ops.cast(labels, "int32")
    if labels.shape[-1] == 1:
        return ops.cast(ops.squeeze(labels, -1), "int32")
    return ops.cast(ops.argmax(labels, axis=-1), "int32")


NO_CLASS = -1  # what terms take for the label of an example without a class, as any number that is none


def ignored_by(loss):
    """The number that a loss of Keras takes for no class, or None."""
    is_sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    return loss.get_config().get("ignore_class") if is_sparse else None


def without_ignored(labels, loss):
    """The labels as they are, but `NO_CLASS` for those that a loss of Keras ignores.

    Args:
      labels: int `[batch]` or `[batch, 1]` where a number is ignored, or None.
      loss: of the labels, or None.
    """
    ignored = ignored_by(loss)
    if labels is None or ignored in (None, NO_CLASS):
        return labels
    numbers = ops.cast(labels, "int32")
    return ops.where(ops.equal(numbers, ignored), NO_CLASS, numbers)


def counted_by(loss, labels):
    """float32 `[batch]`: 0 for the examples whose label a loss of Keras ignores, 1 for the others.

    Args:
      loss: a `keras.losses.Loss`.
      labels: as for `class_numbers`.
    """
    numbers, ignored = class_numbers(labels), ignored_by(loss)
    if ignored is None:
        return ops.ones_like(numbers, dtype="float32")
    return ops.cast(ops.not_equal(numbers, ignored), "float32")


def is_target(labels, classes):
    """float32 `[batch, classes]`: 1 at the class of each example, 0 elsewhere.

    A number that is no class, as `ignore_class=-1` has them, gives a row of zeros.

    Args:
      labels: as for `class_numbers`.
      classes: how many.

    Raises:
      ValueError: for columns of another number.
    """
    labels = ops.convert_to_tensor(labels)
    check_columns(labels, classes)
    return ops.one_hot(class_numbers(labels), classes, dtype="float32")


def check_columns(labels, classes):
    """Raises a ValueError for labels that are neither class numbers nor have a column for each class.

    Args:
      labels: as for `class_numbers`.
      classes: how many; what is no int is not known yet.
    """
    taken = [(), (1,), (None,), (classes,)]
    if isinstance(classes, int) and tuple(labels.shape[1:]) not in taken:
        raise ValueError(
            f"labels must be class numbers, or have a column for each of {classes} classes. "
            f"Received: labels of shape {tuple(labels.shape)}"
        )


def of_labelled(one_hot, values):
    """`[batch]`: values of examples, 0 for those without a class.

    Args:
      one_hot: `[batch, classes]`, what `is_target` says of their labels.
      values: float32 `[batch]`.
    """
    return ops.where(ops.any(one_hot > 0, axis=-1), values, 0.0)


def without_target(labels, logits):
    """float32 `[batch, classes]`: the logits, -inf at the class of each example.

    Args:
      labels: as for `class_numbers`.
      logits: float `[batch, classes]`.
    """
    target = is_target(labels, ops.shape(logits)[-1])
    return ops.where(target > 0, float("-inf"), ops.cast(logits, "float32"))


def cross_entropy(labels, logits):
    """float32 `[batch]`: cross-entropy in nats; 0 for a number that is no class.

    Args:
      labels: int `[batch]` or `[batch, 1]`, or shares of the classes, float `[batch, classes]`.
      logits: float `[batch, classes]`.
    """
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) == 1 or labels.shape[-1] == 1:
        numbers = class_numbers(labels)
        is_class = ops.logical_and(numbers >= 0, numbers < ops.shape(logits)[-1])
        known = ops.where(is_class, numbers, 0)
        values = keras.losses.sparse_categorical_crossentropy(known, logits, from_logits=True)
        return ops.where(is_class, values, 0.0)
    return keras.losses.categorical_crossentropy(labels, logits, from_logits=True)
