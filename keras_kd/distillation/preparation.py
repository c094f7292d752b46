"""What terms compute once, before training: of the teacher, over the training examples."""

import keras
import numpy as np
from keras import ops

from keras_kd.distillation import arrays
from keras_kd.distillation.forward import as_outputs, split_labels
from keras_kd.losses.labels import without_ignored
from keras_kd.models import inference
from keras_kd.utils import limits

# What `tf.data.Dataset.cardinality` says of one that is repeated for ever, and of one from a generator.
ENDLESS, UNKNOWN = -1, -2

TEACHER_BATCH = 256  # of arrays: the teacher only answers


def batches_of(x, y=None, batch_size=TEACHER_BATCH):
    """An iterable of batches `(x, y)`, to be gone through again and again.

    Args:
      x, y: arrays, or structures of such; without `y`, `x` is an array, a dict of such or the iterable.
      batch_size: examples at a time, of arrays.

    Raises:
      ValueError: for what is neither, and for arrays of several lengths.
    """
    if y is None and not hasattr(x, "shape") and not isinstance(x, dict):
        if not hasattr(x, "__iter__") and not isinstance(x, keras.utils.PyDataset):
            raise ValueError(
                f"x must be an array, or an iterable of batches (images, labels). Received: {limits.shown(x)}"
            )
        return x
    return _batches_of_arrays(x, y, batch_size)


def _batches_of_arrays(x, y, batch_size=TEACHER_BATCH):
    given = (x,) if y is None else (x, y)
    arrays.check_examples(*given)
    return [
        keras.tree.map_structure(lambda each, start=start: each[start : start + batch_size], given)
        for start in range(0, len(keras.tree.flatten(x)[0]), batch_size)
    ]


def finite_batches(x, y, steps_per_epoch=None, validation_split=None):
    """What `fit` was given, as `batches_of`.

    Args:
      x, y, steps_per_epoch, validation_split: as for `keras.Model.fit`. With `steps_per_epoch` a dataset of
        unknown length may go on for ever; without, it would train for ever as well.

    Raises:
      ValueError: where it is neither arrays or structures of such, nor a finite `tf.data.Dataset` or
        `PyDataset`.
    """
    if isinstance(x, keras.utils.PyDataset):
        _batch_count(x)
        return x
    if arrays.are_arrays(x):
        return _batches_of_arrays(*_training_part(validation_split, x, y))
    refused = (ENDLESS,) if steps_per_epoch is None else (ENDLESS, UNKNOWN)
    if hasattr(x, "cardinality") and int(x.cardinality()) not in refused:
        return x
    raise _not_prepared(f"x of type {type(x).__name__}, which may have no end")


def _training_part(validation_split, x, y):
    """The examples that Keras trains on: it takes the last ones for validation."""
    if not validation_split:
        return x, y
    count = int(len(keras.tree.flatten(x)[0]) * (1 - validation_split))
    return keras.tree.map_structure(lambda each: None if each is None else each[:count], (x, y))


def prepare(terms, ask_teacher, batches, label_loss=None):
    """Prepares the terms that ask for it.

    Args:
      terms: `distillation.terms.Term`s.
      ask_teacher: a `Forward` of the teacher.
      batches: an iterable of batches `(x, y)`.
      label_loss: of the labels, a `keras.losses.Loss`, or None.

    Raises:
      ValueError: for inputs that the teacher does not take, labels that do not say the class of each example
        where a term asks for it, and features of the teacher that are not finite.
    """
    asking = [term for term in terms if term.asks_examples]
    if not asking:
        return
    forward = inference.compiled(ask_teacher.model)
    for term in asking:
        answers = _answers(term, forward, _checked(term, ask_teacher.model, batches), label_loss)
        term.loss.prepare(term.adaptor, answers)


def _checked(term, network, batches):
    """`(inputs, labels)` of each batch, which fit the network and each other."""
    is_py_dataset = isinstance(batches, keras.utils.PyDataset)
    for batch in map(batches.__getitem__, range(_batch_count(batches))) if is_py_dataset else batches:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        labels, _ = split_labels(y)
        if hasattr(x, "shape"):
            arrays.check_inputs(network, x)
        if term.asks_labels and labels is None:
            raise ValueError(
                f"{type(term.loss).__name__} asks for the class of each example: call "
                f"distiller.prepare(images, labels). Received: no labels"
            )
        arrays.check_lengths(x, labels)
        yield x, labels


def _batch_count(dataset):
    """How many batches a `PyDataset` has; raises a ValueError where it has no end, or does not say."""
    try:
        count = dataset.num_batches
    except NotImplementedError:
        count = None
    if count is None:
        raise _not_prepared(f"x of type {type(dataset).__name__}, which may have no end")
    return count


def _answers(term, forward, examples, label_loss):
    """`(what the layers compute, labels)` of each batch."""
    for x, labels in examples:
        computed = as_outputs(forward(x))
        if term.asks_labels:
            arrays.check_classes(labels, computed["logits"].shape[-1], label_loss)
        features = [_finite(name, computed[name]) for name in term.teacher_layers]
        yield features, without_ignored(labels, label_loss)


def _finite(layer, computed):
    """What a layer computes, as an array; logits alone may be infinite, where a class is ruled out."""
    computed = np.asarray(ops.convert_to_numpy(ops.cast(computed, "float32")))
    wrong = computed[~np.isfinite(computed)]
    if wrong.size and layer != "logits":
        raise ValueError(
            f"the teacher's features at {layer!r} are {wrong[0]:g} for some example: check its weights and "
            f"the images"
        )
    return computed


def check(distiller):
    """Raises a ValueError if a Distiller is not prepared."""
    if not distiller.is_prepared:
        raise _not_prepared("a Distiller that was not prepared")


def _not_prepared(received):
    return ValueError(
        f"a term has to see the training examples before training: call distiller.prepare(images, labels). "
        f"Received: {received}"
    )
