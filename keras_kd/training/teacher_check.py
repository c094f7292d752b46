"""Whether a teacher that was trained elsewhere knows the images that it is about to teach on."""

import numpy as np

from keras_kd.distillation import teacher_inputs
from keras_kd.models import inference, network_checks
from keras_kd.training import evaluation
from keras_kd.training.teacher_accuracy import (
    FAR,
    chance_of,
    fitting_order,
    is_chance,
    is_far_below,
    measure,
    measured_split,
)
from keras_kd.utils import progress

NAMED = 3  # of many classes, in a message

# Share of the images that another order of the classes must explain to be named as the cause.
EXPLAINED = 0.5


def check_teacher(teacher, dataset, *, recorded=None, trust=False, kept=None, batch_size=None):
    """Measures a trained teacher on validation (on train if there is none) as it will be asked.

    Args:
      teacher: a `keras.Model`.
      dataset: a `keras_kd.data.Dataset`.
      recorded: test accuracy in [0, 1] that was noted when the teacher was trained, or None.
      trust: whether a note takes the place of the error.
      kept: its `TeacherTargets`, which are measured in its place, or None.
      batch_size: examples at a time; None: `lazy_images.at_once`.

    Returns:
      Its accuracy, in [0, 1].

    Raises:
      ValueError: if it is no better than chance, far below `recorded`, or far below what the same network
        reaches on pixels that are scaled in another way.
    """
    network_checks.check_fits(teacher, dataset, "teacher")
    split = measured_split(dataset)
    labels = getattr(dataset, split).labels
    if kept is not None and split == "validation":
        logits, other = np.asarray(kept.validation(0, len(labels))), None
        found = evaluation.measures(logits, labels)["accuracy"]
    else:
        logits = inference.logits(teacher, dataset, split, batch_size)
        found = evaluation.measures(logits, labels)["accuracy"]
        other = _better_scale(teacher, dataset, found)
    fault = _fault(teacher, dataset, split, logits, found, recorded, other)
    if fault and not trust:
        raise ValueError(f"{fault}. With trust_teacher it teaches all the same")
    if fault:
        progress.say(f"note: {fault}; it is trusted")
    return found


def _fault(teacher, dataset, split, logits, found, recorded, other):
    """What is wrong with a teacher that is right on a share `found` of a split, and why; None if nothing."""
    labels = getattr(dataset, split).labels
    is_right = f"the teacher {teacher.name!r} is right on {found:.1%}"
    if other:
        return (
            f"{is_right} of the {split} images as they are normalised here, and on {other[1]:.1%} with "
            f"teacher_preprocessing={other[0]!r}: it was trained on other inputs, or scales them itself"
        )
    if recorded is not None and is_far_below(found, recorded, len(labels)):
        cause = (
            order_remark(dataset, labels, logits, found)
            or "it was trained on other images, classes or scaling"
        )
        return f"{is_right} of the {split} images, and its own run measured {recorded:.1%} on test: {cause}"
    chance = chance_of(labels)
    if is_chance(found, len(labels), chance):
        cause = order_remark(dataset, labels, logits, found)
        cause = cause or "it is untrained, or learnt other images, classes or scaling (teacher_preprocessing)"
        return f"{is_right} of {len(labels)} {split} images, no better than chance ({chance:.1%}): {cause}"
    return None


def _better_scale(teacher, dataset, found):
    """`(preprocessing, accuracy)` of a way to scale pixels that suits a teacher far better, else None."""
    if found >= 1 - FAR or teacher_inputs.is_adapted(teacher):
        return None
    channels = dataset.image_shape[-1]
    names = [name for name in teacher_inputs.SCALES if name not in teacher_inputs.OF_COLOURS or channels == 3]
    measured = measure(teacher, dataset, names)
    best = max(measured, key=lambda name: measured[name].value)
    is_better = is_far_below(found, measured[best].value, measured[best].count)
    return (best, measured[best].value) if is_better else None


def order_remark(dataset, labels, logits, found):
    """That the teacher's classes are in another order, if so, with the first of them; else None."""
    if np.ndim(labels) == 2:
        return None
    places, accuracy = fitting_order(labels, logits.argmax(axis=1), logits.shape[1])
    if accuracy < EXPLAINED or not is_far_below(found, accuracy, len(labels) // 2):
        return None
    moved = [place for place in range(dataset.num_classes) if places[place] != place]
    named = ", ".join(f"{dataset.class_names[each]!r} is its output {places[each]}" for each in moved[:NAMED])
    return f"its classes seem to be in another order ({named}), in which {accuracy:.1%} are right: class_map"
