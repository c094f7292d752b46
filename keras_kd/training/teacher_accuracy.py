"""How often a teacher is right, given images in several ways, and whether differences are chance."""

import dataclasses

import keras
import numpy as np
from scipy import optimize, stats

from keras_kd.data import augmentation, lazy_images
from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import teacher_inputs
from keras_kd.models import inference, outputs
from keras_kd.models.logits import ClassLogits, says_yes_or_no

# One-sided level at which an accuracy counts as better than chance or another one; several are compared.
LEVEL = 0.002

# Share of the images by which an accuracy must fall short to be called far below another.
FAR = 0.1

# How many images are asked about where several ways to scale them are compared.
SAMPLE = 256

BATCH = 64  # of small images


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """What a teacher says of a sample of images.

    Attributes:
      value: share that it has right, in [0, 1].
      reordered: the same if its classes could be named anew, in the order that suits it best.
      count: of images.
    """

    value: float
    reordered: float
    count: int


def measured_split(dataset):
    """The name of the split on which a teacher is measured: train only where there is no validation."""
    return "validation" if len(dataset.validation.labels) else "train"


def measure(teacher, dataset, preprocessings, places=None):
    """The `Accuracy` of a teacher on some images of the dataset, scaled in several ways.

    Args:
      teacher, dataset, places: as for `teacher_inputs.adapted`.
      preprocessings: names of `teacher_inputs.PREPROCESSINGS`, the likeliest first.

    Returns:
      `{preprocessing: Accuracy}`, of those that were measured: none after one that is right on 1 - `FAR`.
    """
    split = getattr(dataset, measured_split(dataset))
    count = len(split.labels)
    index = np.sort(np.random.default_rng(0).permutation(count)[:SAMPLE])
    labels = split.labels[index]
    at_once = lazy_images.at_once(dataset.image_shape, BATCH)
    binary = says_yes_or_no(teacher, dataset)
    independent = binary or is_multi_label(dataset)
    forward = inference.compiled(outputs.with_logits(teacher, "teacher", independent=independent))
    choose = ClassLogits(places, binary)
    found = {}
    for name in preprocessings:
        prepare = teacher_inputs.inputs_for(teacher, dataset, name)
        logits = np.concatenate(
            [
                keras.ops.convert_to_numpy(
                    choose(forward(prepare(augmentation.normalise(images, dataset.mean, dataset.std))))
                )
                for images in lazy_images.batches(split.images, at_once, index)
            ]
        )
        found[name] = _accuracy(logits, labels)
        if found[name].value >= 1 - FAR:
            break
    return found


def _accuracy(logits, labels):
    value = float(np.mean(inference.right_answers(logits, labels)))
    if np.ndim(labels) == 2:
        return Accuracy(value, value, len(labels))
    confusion = confusion_of(labels, logits.argmax(axis=1), logits.shape[1])
    reordered = confusion[optimize.linear_sum_assignment(confusion, maximize=True)].sum() / len(labels)
    return Accuracy(value, float(reordered), len(labels))


def chance_of(labels):
    """The share that is right without looking: the most frequent class, or of each class yes or no."""
    if np.ndim(labels) == 2:
        share = np.mean(labels, axis=0)
        return float(np.mean(np.maximum(share, 1 - share)))
    return float(np.bincount(labels).max() / len(labels))


def confusion_of(labels, predicted, classes):
    """int64 `[classes, classes]`: how many examples of each class (row) are said to be of each (column)."""
    found = np.zeros((classes, classes), np.int64)
    np.add.at(found, (labels, predicted), 1)
    return found


def fitting_order(labels, predicted, classes):
    """Which output each class seems to have, where a teacher's classes are in an order of their own.

    Args:
      labels, predicted: int `[n]`.
      classes: how many there are.

    Returns:
      `(places, accuracy)`: of half of the examples the assignment of outputs to classes that is right most
      often, int `[classes]`, and the share of the other half on which it is right, in [0, 1].
    """
    confusion = confusion_of(labels[::2], predicted[::2], classes)
    _, places = optimize.linear_sum_assignment(confusion, maximize=True)
    return places, float(np.mean(places[labels[1::2]] == predicted[1::2])) if len(labels) > 1 else 0.0


def is_chance(accuracy, count, chance):
    """Whether an accuracy on `count` images is chance, and they are enough to tell.

    Args:
      accuracy, chance: shares in [0, 1]; chance is that of the most frequent class.
      count: of images.
    """
    right = round(accuracy * count)
    test = stats.binomtest(right, count, chance, alternative="greater")
    most = stats.binomtest(right, count, alternative="less").proportion_ci(1 - LEVEL).high
    return bool(test.pvalue > LEVEL and most < chance + FAR)


def is_far_below(accuracy, other, count):
    """Whether an accuracy is below another one by more than `FAR`, both on `count` images, not by chance."""
    right = [round(each * count) for each in (other, accuracy)]
    table = [[each, count - each] for each in right]
    return bool(other - accuracy > FAR and stats.fisher_exact(table, alternative="greater").pvalue < LEVEL)
