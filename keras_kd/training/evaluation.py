"""A network measured on every example of a split."""

import numpy as np

from keras_kd.models import inference, network_checks
from keras_kd.utils import limits

SPLITS = ("train", "validation", "test")


def evaluate(model, dataset, split="test", *, teacher=None, batch_size=None):
    """Measures a network on every example of a split, once, in float64.

    Args:
      model: a `keras.Model` that returns logits, or ends in softmax: its logits are taken.
      dataset: a `keras_kd.data.Dataset`.
      split: "train", "validation" or "test".
      teacher: a network to compare with, or None.
      batch_size: examples at a time; None: `lazy_images.at_once`.

    Returns:
      `{"accuracy": ..., "loss": ...}`, the mean cross-entropy in nats, and with a teacher
      `"agreement"`, the share of examples for which both name the same class.
    """
    limits.check_choice("split", split, SPLITS)
    for network, role in ((model, "network"), (teacher, "teacher")):
        if network is not None or role == "network":
            network_checks.check_fits(network, dataset, role)
    logits, teacher_logits = (
        None if network is None else inference.logits(network, dataset, split, batch_size)
        for network in (model, teacher)
    )
    return measures(logits, getattr(dataset, split).labels, teacher_logits)


def measures(logits, labels, teacher_logits=None):
    """What `evaluate` returns, from logits float `[n, classes]` and labels int `[n]`.

    Or from labels 0 or 1 `[n, classes]`, that say yes or no of each class: accuracy and agreement are then
    shares of these decisions, and the loss is the mean binary cross-entropy.
    """
    found = {
        "accuracy": float(np.mean(inference.right_answers(logits, labels))),
        "loss": float(np.mean(cross_entropies(logits, labels))),
    }
    if teacher_logits is not None:
        said = (inference.answers(each, np.ndim(labels) == 2) for each in (logits, teacher_logits))
        found["agreement"] = float(np.mean(np.equal(*said)))
    return found


def cross_entropies(logits, labels):
    """In nats, float64: `[n]`, or of each decision, as the labels; arguments as of `measures`."""
    if np.ndim(labels) == 2:
        return np.logaddexp(0, logits) - labels * logits
    return -inference.log_probabilities(logits)[np.arange(len(labels)), labels]
