"""Arrays that `fit`, `evaluate` and `prepare` are given, checked before the backend fails in its words."""

import keras
import numpy as np
from keras import ops

from keras_kd.distillation import compatibility
from keras_kd.distillation.forward import split_labels
from keras_kd.losses import labels as label_forms
from keras_kd.losses.binary_targets import BINARY_LOSSES
from keras_kd.losses.soft_targets import CLASS_LOSSES
from keras_kd.models import network_checks, outputs
from keras_kd.utils import limits


def check_arrays(student, loss, x, y):
    """Raises a ValueError for inputs or labels that a student or loss cannot take.

    What is no array, such as a `tf.data.Dataset`, is not looked at; nor are labels of a loss of one's own.

    Args:
      student: a `keras.Model`.
      loss: of the labels, a `keras.losses.Loss`, or None.
      x, y: as for `keras.Model.fit`.
    """
    for name, given in (("x", x), ("y", y)):
        if isinstance(given, (list, tuple)) and not any(hasattr(each, "shape") for each in given):
            raise _no_array(name, given)
    if not hasattr(x, "shape"):
        return
    check_inputs(student, x)
    labels, _ = split_labels(y)
    check_labels_given(labels, loss)
    if loss is None or not hasattr(labels, "shape"):
        return
    labels = _as_numpy(labels)
    check_lengths(x, labels)
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        _check_class_numbers(labels, compatibility.output_count(student), loss)
    elif isinstance(loss, keras.losses.CategoricalCrossentropy):
        _check_columns(labels, compatibility.output_count(student))
    elif isinstance(loss, BINARY_LOSSES):
        _check_decisions(labels, compatibility.output_count(student))


def check_examples(x, y=None):
    """Raises a ValueError for what are no arrays, or no arrays of one length.

    Args:
      x, y: arrays, or structures of such; labels may bring the teacher's logits along, or be None.
    """
    for name, given in (("x", x), ("y", y)):
        if given is not None and not are_arrays(given):
            raise _no_array(name, given)
    check_lengths(x, y)


def are_arrays(given):
    """Whether it is an array or a structure of arrays."""
    found = keras.tree.flatten(given)
    return bool(found) and all(hasattr(each, "shape") for each in found)


def check_classes(labels, classes, loss):
    """Raises a ValueError for labels that do not say the class of each example.

    Args:
      labels: of a batch; numbers `[batch]` or `[batch, 1]`, or shares of the classes `[batch, classes]`.
      classes: how many.
      loss: of the labels, which may ignore a number that is no class; without one, and with one of one's own,
        -1 is such a number.
    """
    labels = _as_numpy(labels)
    _check_kind(labels)
    label_forms.check_columns(labels, classes)
    if labels.ndim > 1 and labels.shape[1] > 1:
        _check_shares(labels)
    else:
        ignored = label_forms.ignored_by(loss) if isinstance(loss, CLASS_LOSSES) else -1
        _check_range(labels, classes, ignored)


def check_inputs(network, x):
    """Raises a ValueError for an array that a network does not take."""
    shapes, given = outputs.input_shapes(network), tuple(x.shape)
    if getattr(getattr(x, "dtype", None), "kind", "f") in _NO_NUMBERS and not _takes_text(network):
        raise ValueError(f"inputs must be numbers. Received: an array of dtype {x.dtype}")
    if not shapes or len(shapes) > 1:
        return
    shape = shapes[0] if getattr(network, "inputs", None) else _of_any_size(shapes[0])
    if not network_checks.takes(shape, given):
        raise ValueError(f"the networks take inputs of shape {shape}. Received: inputs of shape {given}")


def _takes_text(network):
    return any(each.dtype == "string" for each in getattr(network, "inputs", None) or ())


def _of_any_size(shape):
    """A shape but for what a network without a graph was first called on: its rank and its channels."""
    return tuple([None] * (len(shape) - 1)) + tuple(shape[-1:])


def check_lengths(x, labels):
    """Raises a ValueError where inputs and labels, structures of arrays or None, are not equally many."""
    inputs = len(keras.tree.flatten(x)[0])
    for each in keras.tree.flatten(labels):
        if each is not None and len(each) != inputs:
            raise ValueError(f"each input needs a label. Received: {inputs} inputs and {len(each)} labels")


def check_labels_given(labels, loss):
    """Raises a ValueError where a loss has no labels to go by."""
    if labels is None and loss is not None:
        raise ValueError("the labels are missing, and compile has a loss for them. Received: y=None")


_NO_NUMBERS = "OSUcmM"  # objects, text, complex numbers, times: kinds of dtypes


def _no_array(name, given):
    return ValueError(
        f"{name} must be an array, as numpy.asarray makes of a list. Received: {limits.shown(given)}"
    )


def _as_numpy(labels):
    return ops.convert_to_numpy(labels) if ops.is_tensor(labels) else np.asarray(labels)


def _check_class_numbers(labels, classes, loss):
    _check_kind(labels)
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        raise ValueError(
            f"SparseCategoricalCrossentropy takes a class number for each example: give columns their "
            f"argmax(axis=-1), or compile with CategoricalCrossentropy(from_logits=True). "
            f"Received: labels of shape {labels.shape}"
        )
    _check_range(labels, classes, label_forms.ignored_by(loss))


def _check_kind(labels):
    if labels.dtype.kind in _NO_NUMBERS:
        raise ValueError(f"labels must be class numbers. Received: an array of dtype {labels.dtype}")


def _check_range(labels, classes, ignored):
    labels = labels[labels != ignored] if ignored is not None else labels
    if labels.size and labels.dtype.kind == "f" and np.any(labels != np.round(labels)):
        raise ValueError(f"labels must be class numbers. Received: {labels[labels != np.round(labels)][0]}")
    if labels.size and (labels.min() < 0 or (classes and labels.max() >= classes)):
        until = "" if classes is None else f" to {classes - 1}"
        raise ValueError(
            f"labels must be class numbers from 0{until}. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )


def _check_columns(labels, classes):
    if labels.ndim != 2 or (classes and labels.shape[1] != classes):
        raise ValueError(
            f"CategoricalCrossentropy takes a column for each of {classes or 'the'} classes: compile with "
            f"SparseCategoricalCrossentropy(from_logits=True) for class numbers. "
            f"Received: labels of shape {labels.shape}"
        )
    _check_shares(labels)


def _check_decisions(labels, outputs_count):
    count = "an output" if outputs_count is None else f"each of {outputs_count} outputs"
    is_one = outputs_count in (1, None) and labels.ndim == 1
    if not is_one and (labels.ndim != 2 or labels.shape[1] != (outputs_count or labels.shape[1])):
        raise ValueError(
            f"a binary loss takes a yes or no for {count}: compile with "
            f"SparseCategoricalCrossentropy(from_logits=True) for class numbers. "
            f"Received: labels of shape {labels.shape}"
        )
    _check_shares(labels)


def _check_shares(labels):
    """Raises a ValueError for what is neither 0 nor 1 nor between them, such as NaN."""
    labels = np.asarray(labels, "float32")
    wrong = labels[~((labels >= -_ROUNDING) & (labels <= 1 + _ROUNDING))]
    if wrong.size:
        raise ValueError(f"labels in columns must lie in [0, 1]. Received: {wrong[0]:g}")


_ROUNDING = 1e-3  # of mixed labels in few digits
