"""A teacher as it comes: asked about images of its own size and scaling, for the student's classes.

teacher = keras_kd.training.adapt_teacher(keras.saving.load_model("teacher.keras"), dataset)
"""

import re

import keras

from keras_kd.distillation import class_map as class_maps
from keras_kd.distillation import compatibility, teacher_inputs
from keras_kd.models import applications, graph, logits, network_checks
from keras_kd.training.teacher_accuracy import is_far_below, measure, measured_split
from keras_kd.utils import limits, progress

AUTO = "auto"

# How each family of keras.applications was trained, by names of its models and of their layers; the first
# that fits. Those that scale pixels themselves are found by their first layers.
_FAMILIES = {
    r"(?i)resnet\d+v2|inception|xception|nasnet|mobilenet(v2)?_|conv2_block1_preact|expanded_conv_project|"
    r"conv_dw_1|mixed0|mixed_5b|block1_conv1_bn": "minus_one_one",
    r"densenet\d+|conv2_block1_concat": "imagenet",
    r"resnet(50|101|152)|vgg(16|19)|conv2_block1_add|block1_conv1": "caffe",
}

FIRST = 3  # layers of a network among which one scales pixels


def adapt_teacher(teacher, dataset, *, preprocessing=AUTO, class_map=None, expected=None, trust=False):
    """The teacher as a network from the images that its student sees to logits of the student's classes.

    Images change their size and channels to what the teacher takes. A line says what was done.

    Args:
      teacher: a built `keras.Model` from images to logits or probabilities.
      dataset: a `keras_kd.data.Dataset`, the student's.
      preprocessing: a name of `teacher_inputs.PREPROCESSINGS`, or "auto": what is expected, unless on
        validation (on train where there is none) the teacher is far better with another.
      class_map: for more outputs than the student has classes, or another order: a dict from the student's
        classes to places of the teacher's outputs, a list of the teacher's classes, or the path of a file
        with either; see `distillation.class_map`.
      expected: a name likewise; None: by the family of keras.applications, "none" for networks that begin
        with a layer that scales pixels, else "dataset".
      trust: whether a note takes the place of the error: a preprocessing that is far worse than another.

    Returns:
      What `teacher_inputs.adapted` returns: the teacher itself where nothing differs.

    Raises:
      ValueError: for a teacher that cannot be adapted, or far better with another preprocessing.
    """
    limits.check_choice("teacher_preprocessing", preprocessing, (AUTO, *teacher_inputs.PREPROCESSINGS))
    places = _places(teacher, dataset, class_map)
    chosen, words = choose(teacher, dataset, preprocessing, places, expected, trust)
    found = teacher_inputs.adapted(teacher, dataset, chosen, places)
    if found is not teacher:
        shape = "x".join(map(str, teacher_inputs.inputs_for(teacher, dataset).image_shape))
        names = (
            ""
            if places is None
            else "; " + class_maps.in_words(places, dataset.class_names, _count(teacher, dataset))
        )
        progress.say(f"teacher {teacher.name!r}: asked about images of {shape}, {words}{names}")
    return found


def _count(teacher, dataset):
    """How many logits there are to choose from; None if it is not known."""
    if logits.says_yes_or_no(teacher, dataset):
        return logits.TWO_CLASSES
    return compatibility.check_classes(teacher, "teacher", independent=True)


def _places(teacher, dataset, class_map):
    """The teacher's output of each class, or None where all have their order."""
    network_checks.check_network(teacher, "teacher")
    teacher_inputs.inputs_for(teacher, dataset)  # says what is wrong with its inputs
    count = _count(teacher, dataset)
    if class_map is not None:
        return class_maps.places(class_map, dataset.class_names, count)
    if count != dataset.num_classes:
        raise ValueError(
            f"the teacher {teacher.name!r} has {count} outputs, and there are {dataset.num_classes} classes: "
            f"give a class_map of {{class: place of its output}}. Received: class_map=None"
        )
    return None


def choose(teacher, dataset, preprocessing, places=None, expected=None, trust=False, role="teacher"):
    """How a network's pixels are scaled: `(preprocessing, that and why in words)`.

    Args:
      teacher, dataset, preprocessing, expected, trust: as for `adapt_teacher`.
      places: of the network's outputs, one for each class; None: all, in order.
      role: what the network is called in an error.
    """
    first = expected_preprocessing(teacher) if expected is None else expected
    channels = teacher_inputs.inputs_for(teacher, dataset).image_shape[-1]
    if channels != teacher_inputs.COLOUR and first in teacher_inputs.OF_COLOURS:
        first = "dataset"
    first = first if preprocessing == AUTO else preprocessing
    others = [
        name
        for name in teacher_inputs.PREPROCESSINGS
        if name != first and (channels == teacher_inputs.COLOUR or name not in teacher_inputs.OF_COLOURS)
    ]
    measured = measure(teacher, dataset, (first, *others), places)
    # The right one shows also where the classes are in another order, which is told apart from it later.
    best = _best(measured, first, "reordered" if preprocessing == AUTO else "value")
    split = measured_split(dataset)
    words = f"scaled as {{}} (right on {{:.1%}} of {measured[first].count} {split} images{{}})"
    if best == first or (preprocessing != AUTO and trust):
        if best != first:
            progress.say(f"note: {_fault(teacher, first, best, measured, role)}; it is trusted")
        return first, words.format(repr(first), measured[first].value, "")
    if preprocessing != AUTO:
        otherwise = ", or trust_teacher" if role == "teacher" else ""
        raise ValueError(f"{_fault(teacher, first, best, measured, role)}: take that{otherwise}")
    instead = f"; {measured[first].value:.1%} as {first!r}"
    return best, words.format(repr(best), measured[best].value, instead)


def _fault(teacher, first, best, measured, role):
    name = "teacher_preprocessing" if role == "teacher" else "preprocessing"
    return (
        f"the {role} {teacher.name!r} is right on {measured[first].value:.1%} of "
        f"{measured[first].count} images with {name}={first!r}, and on "
        f"{measured[best].value:.1%} with {best!r}"
    )


def _best(measured, first, score):
    """The preprocessing with the highest score, unless the first is not far below it."""
    values = {name: getattr(each, score) for name, each in measured.items()}
    best = max(values, key=values.get)
    return best if is_far_below(values[first], values[best], measured[first].count) else first


def expected_preprocessing(teacher):
    """How a network was probably trained, by its names: one of `teacher_inputs.PREPROCESSINGS`."""
    layers = [layer for layer in graph.all_layers(teacher) if not isinstance(layer, keras.layers.InputLayer)]
    inner = [layer for layer in layers if not isinstance(layer, keras.Model)]
    if any(layer.name == applications.PIXELS for layer in inner[:FIRST]):
        return "dataset"  # it undoes the normalisation by itself
    if any(isinstance(layer, applications.SCALING) for layer in inner[:FIRST]):
        return "none"
    names = [teacher.name, *(layer.name for layer in layers)]
    for pattern, preprocessing in _FAMILIES.items():
        if any(re.match(pattern, name) for name in names):
            return preprocessing
    return "dataset"
