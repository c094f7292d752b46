"""What terms compute once, before training: of the teacher, over the training examples."""

import keras
import numpy as np
from keras import ops

from keras_kd.distillation.forward import as_outputs, split_labels
from keras_kd.models import inference

# What `tf.data.Dataset.cardinality` says of one that is repeated for ever, and of one from a generator.
ENDLESS, UNKNOWN = -1, -2


def batches_of(x, y=None, batch_size=256):
    """An iterable of batches `(x, y)`, to be gone through again and again.

    Args:
      x, y: arrays, or structures of such; without `y`, `x` is the iterable.
      batch_size: examples at a time, of arrays.
    """
    if y is None:
        return x
    count = len(keras.tree.flatten(x)[0])
    return [
        keras.tree.map_structure(lambda each, start=start: each[start : start + batch_size], (x, y))
        for start in range(0, count, batch_size)
    ]


def finite_batches(x, y, steps_per_epoch=None):
    """What `fit` was given, as `batches_of`.

    Args:
      x, y, steps_per_epoch: as for `keras.Model.fit`. With `steps_per_epoch` a dataset of unknown length may
        go on for ever; without, it would train for ever as well.

    Raises:
      ValueError: where it is neither arrays, nor a finite `tf.data.Dataset`, nor a `PyDataset`.
    """
    if hasattr(x, "shape") or isinstance(x, keras.utils.PyDataset):
        return batches_of(x, y)
    refused = (ENDLESS,) if steps_per_epoch is None else (ENDLESS, UNKNOWN)
    if hasattr(x, "cardinality") and int(x.cardinality()) not in refused:
        return x
    raise _not_prepared(f"x of type {type(x).__name__}, which may have no end")


def prepare(terms, ask_teacher, batches):
    """Prepares the terms that ask for it.

    Args:
      terms: `distillation.terms.Term`s.
      ask_teacher: a `Forward` of the teacher.
      batches: an iterable of batches `(x, y)`.
    """
    asking = [term for term in terms if term.asks_examples]
    if not asking:
        return
    forward = inference.compiled(ask_teacher.model)
    for term in asking:
        term.loss.prepare(term.adaptor, _answers(forward, term.teacher_layers, batches))


def _answers(forward, layers, batches):
    """`(what the layers compute, labels)` of each batch."""
    is_py_dataset = isinstance(batches, keras.utils.PyDataset)
    for batch in map(batches.__getitem__, range(len(batches))) if is_py_dataset else batches:
        computed = as_outputs(forward(batch[0]))
        labels, _ = split_labels(batch[1])
        yield (
            [np.asarray(ops.convert_to_numpy(ops.cast(computed[name], "float32"))) for name in layers],
            labels,
        )


def check(distiller):
    """Raises a ValueError if a Distiller is not prepared."""
    if not distiller.is_prepared:
        raise _not_prepared("a Distiller that was not prepared")


def _not_prepared(received):
    return ValueError(
        f"a term has to see the training examples before training: call distiller.prepare(images, labels). "
        f"Received: {received}"
    )
