"""SimKD: a student that ends in the teacher's own classifier, and learns the features that it takes.

student = losses.with_teacher_classifier(teacher, student)
keras_kd.Distiller(teacher, student, alpha=0.0, label_weight=0.0, terms=[losses.SimpleKD()])
"""

import keras

from keras_kd.losses import features
from keras_kd.losses.hint import hint
from keras_kd.losses.terms import FeatureTerm
from keras_kd.models import data_format, graph, outputs, rebuilding, resnet, stages

PROJECTED = "projector_out"  # the layer that is to compute the teacher's last feature maps

CLASSIFIER = "teacher_classifier"

_REDUCTION = 2  # the teacher's channels over those inside the projector, as the authors have it


def with_teacher_classifier(teacher, student):
    """A student whose last feature maps go through a projector into the teacher's classifier.

    The projector (1x1, 3x3 and 1x1 convolution, each with BatchNorm and ReLU) is trained and stays with the
    student, as does a frozen copy of the teacher's last dense layer behind the pooling. Like any layer it is
    thawed by `student.trainable = True`: set its own `trainable` to False again, before `compile`.

    Args:
      teacher: a built `keras.Model` that ends in global average pooling and a dense layer.
      student: a functional or sequential `keras.Model` for the same images. It shares its layers, up to its
        last feature maps, with what is returned, and loses nothing else.

    Returns:
      A `keras.Model` from images to logits `[batch, classes]`.

    Raises:
      ValueError: for a teacher that ends otherwise, a student whose maps are of no size that fits, or maps of
        channels first or of a model inside another.

    Source: Chen et al. 2022, arXiv:2203.14001, section 3.
    """
    of_teacher, dense = _last_maps(teacher)
    if of_teacher is not None:
        _check_maps(teacher, of_teacher)
    _check_end(teacher, of_teacher, dense)
    of_student, _ = _last_maps(student)
    if of_student is None:
        of_student = student.get_layer(stages.PAIRS["last_stage"](teacher, student)[1][0])
    _check_maps(student, of_student)
    teacher_shape, maps = tuple(of_teacher.output.shape), of_student.output
    if reason := features.why_not_in_one_size(teacher_shape, tuple(maps.shape)):
        raise ValueError(
            f"the last feature maps of teacher and student do not fit: {reason}. "
            f"Received: shapes {teacher_shape} (teacher) and {tuple(maps.shape)} (student)"
        )
    x = _projected(_averaged(maps, teacher_shape), teacher_shape[-1])
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="teacher_pool")(x)
    classifier = _frozen_copy(dense)
    with graph.deep_graphs():
        made = keras.Model(graph.inputs_of(student), classifier(x), name=student.name)
    classifier.set_weights(dense.get_weights())
    return made


def _projected(x, channels):
    """What the projector makes of feature maps."""
    inside = max(channels // _REDUCTION, 1)
    names = ("projector_relu1", "projector_relu2", PROJECTED)
    for place, (count, size) in enumerate([(inside, 1), (inside, 3), (channels, 1)], 1):
        x = resnet.convolution(x, count, size, 1, f"projector_conv{place}")
        x = keras.layers.ReLU(name=names[place - 1])(resnet.batch_norm(x, f"projector_bn{place}"))
    return x


def _averaged(maps, shape):
    """The student's maps, averaged over windows where they are larger than maps of a shape."""
    window = features.window_between(maps.shape, shape)
    if window == (1, 1):
        return maps
    pooling = keras.layers.AveragePooling2D(window, data_format="channels_last", name="projector_pool")
    return pooling(maps)


def _frozen_copy(dense):
    """A dense layer that returns logits; its weights are still to be set."""
    changes = {"name": CLASSIFIER, "trainable": False, "activation": "linear"}
    return keras.layers.Dense.from_config(dense.get_config() | changes)


def _last_maps(model):
    """`(layer whose feature maps are pooled, dense layer behind)`; `(None, None)` where there are none."""
    graph.feature_extractor(model)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    before = graph.layer_before(model, dense[-1]) if dense else None
    while isinstance(before, (keras.layers.Dropout, keras.layers.Flatten, keras.layers.Identity)):
        before = graph.layer_before(model, before)
    if not isinstance(before, keras.layers.GlobalAveragePooling2D):
        return None, None
    maps = graph.layer_before(model, before)
    is_layer = isinstance(maps, keras.layers.Layer) and not isinstance(maps, keras.layers.InputLayer)
    return (maps, dense[-1]) if is_layer else (None, None)


def _check_maps(model, layer):
    """Raises a ValueError where a layer's maps cannot be looked at."""
    graph.check_layers(model, [layer.name])
    data_format.check_channels_last(model, [layer.name])


def _check_end(teacher, maps, dense):
    """Raises a ValueError where the teacher is not a dense layer on the pooled maps."""
    if maps is not None:
        pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_last")(maps.output)
        classifier = _frozen_copy(dense)
        found = keras.Model(graph.inputs_of(teacher), classifier(pooled), name=teacher.name)
        classifier.set_weights(dense.get_weights())
        try:
            rebuilding.check_equal(found, outputs.with_logits(teacher))
            return
        except rebuilding.UnequalNetworksError:
            pass
    raise ValueError(
        f"the teacher {teacher.name!r} must end in global average pooling and a dense layer. Received: "
        f"layers {[layer.name for layer in teacher.layers][-3:]} at its end"
    )


@keras.saving.register_keras_serializable(package="keras_kd")
class SimpleKD(FeatureTerm):
    """`hint` between the teacher's last feature maps and a student's projected ones.

    It trains alone, with neither labels nor soft targets, a student that `with_teacher_classifier` made.

    Args:
      teacher_layers, student_layers: None, for the maps that the teacher pools and the end of the student's
        projector, or the names of these two.

    Source: Chen et al. 2022 (SimKD), arXiv:2203.14001.
    """

    looks_at = "last_stage"
    label_weight = 0.0

    def student_of(self, teacher, student):
        """See `with_teacher_classifier`."""
        return with_teacher_classifier(teacher, student)

    def begin(self, teacher, student):
        """Copies the classifier again, of a teacher that was trained since."""
        _, dense = _last_maps(teacher)
        if dense is not None and CLASSIFIER in [layer.name for layer in student.layers]:
            student.get_layer(CLASSIFIER).set_weights(dense.get_weights())

    def layers_of(self, teacher, student):
        """`([layer that the teacher pools], [the projector's output])`.

        Raises:
          ValueError: for a student without a projector, or other layers, which would not train it.
        """
        maps, _ = _last_maps(teacher)
        names = [layer.name for layer in student.layers]
        if maps is None or PROJECTED not in names:
            raise ValueError(
                "SimpleKD trains a student that ends in its teacher's classifier: give the Distiller "
                "keras_kd.losses.with_teacher_classifier(teacher, student). "
                f"Received: {student.name!r}, layers {names[-3:]} at its end"
            )
        found = [maps.name], [PROJECTED]
        if self.teacher_layers is not None and (self.teacher_layers, self.student_layers) != found:
            raise ValueError(
                f"SimpleKD compares the teacher's {maps.name!r}, which it pools, with the student's "
                f"{PROJECTED!r}: leave out the layers. Received: teacher_layers={self.teacher_layers!r}, "
                f"student_layers={self.student_layers!r}"
            )
        return found

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared: sizes without common windows, or other channels."""
        if reason := features.why_not_in_one_size(teacher_shape, student_shape):
            return reason
        return "" if teacher_shape[-1] == student_shape[-1] else "take layers with equally many channels"

    def compare(self, teacher, student):
        """float32 `[batch]`: see `hint`."""
        return hint(teacher, student)
