"""Whether a teacher that was trained elsewhere knows the images that it is about to teach on."""

import dataclasses

import numpy as np
from scipy import stats

from keras_kd.models import inference, network_checks
from keras_kd.training import evaluation

# One-sided level at which an accuracy counts as better than chance or another one; several are compared.
LEVEL = 0.002

# Share of the images by which an accuracy must fall short to be called far below another.
FAR = 0.1

# Other ways to scale pixels that networks are often fed with: mean and deviation of pixels in [0, 1].
_OTHER_SCALES = {
    "pixel values 0 to 255": (0.0, 1 / 255),
    "pixel values 0 to 1": (0.0, 1.0),
    "pixel values -1 to 1": (0.5, 0.5),
}


def check_teacher(teacher, dataset, *, recorded=None, batch_size=256):
    """Measures a trained teacher on validation (on train if there is none) as it will be asked.

    Args:
      teacher: a `keras.Model`.
      dataset: a `keras_kd.data.Dataset`.
      recorded: test accuracy in [0, 1] that was noted when the teacher was trained, or None.
      batch_size: examples at a time.

    Returns:
      Its accuracy, in [0, 1].

    Raises:
      ValueError: if it is no better than chance, far below `recorded`, or far below what the same network
        reaches on pixels that are scaled in another way.
    """
    split = "validation" if len(dataset.validation.labels) else "train"
    labels = getattr(dataset, split).labels

    def accuracy(scaled):
        logits = inference.logits(teacher, scaled, split, batch_size)
        return evaluation.measures(logits, labels)["accuracy"]

    network_checks.check_fits(teacher, dataset, "teacher")
    found = accuracy(dataset)
    for scale, (mean, std) in _OTHER_SCALES.items():
        channels = dataset.image_shape[-1]
        other = accuracy(_Scaled.of(dataset, np.full(channels, mean), np.full(channels, std)))
        if _is_far_below(found, other, len(labels)):
            raise ValueError(
                f"the teacher {teacher.name!r} is right on {found:.1%} of the {split} images as they are "
                f"normalised here, and on {other:.1%} given {scale}: it was trained on other inputs, or "
                f"scales them itself. Train it on the images of this dataset, or leave out its own scaling"
            )
    if recorded is not None and _is_far_below(found, recorded, len(labels)):
        raise ValueError(
            f"the teacher {teacher.name!r} is right on {found:.1%} of the {split} images, and its own run "
            f"measured {recorded:.1%} on test: it was trained on other images, classes or scaling"
        )
    chance = np.bincount(labels).max() / len(labels)
    if _is_chance(round(found * len(labels)), len(labels), chance):
        raise ValueError(
            f"the teacher {teacher.name!r} is right on {found:.1%} of {len(labels)} {split} images, no "
            f"better than chance ({chance:.1%}): it is untrained, or learnt other images, classes or scaling"
        )
    return found


def _is_chance(right, count, chance):
    """Whether so many right answers are chance, and enough images were asked about to tell."""
    test = stats.binomtest(right, count, chance, alternative="greater")
    most = stats.binomtest(right, count, alternative="less").proportion_ci(1 - LEVEL).high
    return test.pvalue > LEVEL and most < chance + FAR


def _is_far_below(found, other, count):
    right = [round(accuracy * count) for accuracy in (other, found)]
    table = [[each, count - each] for each in right]
    return other - found > FAR and stats.fisher_exact(table, alternative="greater").pvalue < LEVEL


@dataclasses.dataclass(frozen=True)
class _Scaled:
    """A dataset's splits with another normalisation."""

    train: object
    validation: object
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, dataset, mean, std):
        return cls(dataset.train, dataset.validation, mean.astype("float32"), std.astype("float32"))
