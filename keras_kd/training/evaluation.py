"""A network measured on every example of a split."""

import numpy as np

from keras_kd.models import inference


def evaluate(model, dataset, split="test", *, teacher=None, batch_size=256):
    """Measures a network on every example of a split, once, in float64.

    Args:
      model: a `keras.Model` that returns logits, or ends in softmax: its logits are taken.
      dataset: a `keras_kd.data.Dataset`.
      split: "train", "validation" or "test".
      teacher: a network to compare with, or None.
      batch_size: examples at a time.

    Returns:
      `{"accuracy": ..., "loss": ...}`, the mean cross-entropy in nats, and with a teacher
      `"agreement"`, the share of examples for which both name the same class.
    """
    logits = inference.logits(model, dataset, split, batch_size)
    labels = getattr(dataset, split).labels
    log_probabilities = inference.log_probabilities(logits)
    measured = {
        "accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "loss": float(-np.mean(log_probabilities[np.arange(len(labels)), labels])),
    }
    if teacher is not None:
        teacher_classes = inference.logits(teacher, dataset, split, batch_size).argmax(axis=1)
        measured["agreement"] = float(np.mean(logits.argmax(axis=1) == teacher_classes))
    return measured


def is_right(model, dataset, split="test", batch_size=256):
    """Whether a network classifies each example of a split right: bool `[n]`; arguments as for `evaluate`."""
    logits = inference.logits(model, dataset, split, batch_size)
    return logits.argmax(axis=1) == getattr(dataset, split).labels
