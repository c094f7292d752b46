"""KD++: features are pulled along the direction of their class's centre, and to a larger norm."""

import keras
import numpy as np
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.labels import class_numbers, is_target, of_labelled
from keras_kd.losses.terms import FeatureTerm
from keras_kd.utils import checks


def class_direction(labels, centres, student_features):
    """1 - the cosine of features and the centre of their class: 0 where they point the same way.

    Args:
      labels: int `[batch]`, or one-hot `[batch, classes]` (smoothed or mixed: the largest).
      centres: float `[classes, d]`, mean features of the teacher's; a row of zeros where a class has none.
      student_features: float `[batch, d]`.

    Returns:
      float32 `[batch]` in [0, 2], dimensionless; 1 where the features or the centre are 0, and 0 for a label
      that is no class (`ignore_class=-1`).

    Source: Wang et al. 2023, arXiv:2305.17007, section 3.
    """
    student = ops.cast(student_features, "float32")
    return norm_and_direction(labels, centres, ops.zeros_like(student), student)


def norm_and_direction(labels, centres, teacher_features, student_features):
    """1 - s·e / max(|s|, |t|), with e the direction of the class's centre: also pulls to a larger norm.

    Where the student's norm |s| reaches the teacher's |t| it is `class_direction`; below that a larger norm
    lowers it as well.

    Args:
      labels, centres, student_features: as for `class_direction`.
      teacher_features: float `[batch, d]`.

    Returns:
      float32 `[batch]` in [0, 2], dimensionless; 1 where the features or the centre are 0, and 0 for a label
      that is no class (`ignore_class=-1`).

    Source: Wang et al. 2023, arXiv:2305.17007, section 3; as in the authors' code, in one fraction.
    """
    both = ops.stack([ops.cast(each, "float32") for each in (teacher_features, student_features)])
    # The fraction does not change with the size of both.
    teacher, student = ops.unstack(features.rescaled(both, axis=(0, 2)))
    centres = features.unit(ops.cast(centres, "float32"))
    one_hot = is_target(labels, centres.shape[0])
    towards = ops.matmul(one_hot, centres)
    norm = ops.maximum(features.length(student), features.length(teacher))
    cosine = ops.sum(student * towards, axis=-1) / ops.where(ops.equal(norm, 0.0), 1.0, norm)
    return of_labelled(one_hot, 1.0 - cosine)


@keras.saving.register_keras_serializable(package="keras_kd")
class ClassCentres(FeatureTerm):
    """`norm_and_direction` of the penultimate features (KD++, arXiv:2305.17007); added to KD.

    The centres, the teacher's mean features of each class, are computed once before training, over the
    training examples in inference mode; see `Distiller.prepare`. Where the student's features have another
    width, a dense layer without bias, trained with the student, maps them to the teacher's.

    Args:
      teacher_layers, student_layers: names of one layer each, of features `[batch, d]`; None: what the last
        dense layer takes.
    """

    asks_labels = True
    asks_examples = True
    beside_kd = True
    looks_at = "penultimate"
    weight = 2.0

    def layers_of(self, teacher, student):
        """As `FeatureTerm`, and the logits, whose number is that of the classes."""
        names = super().layers_of(teacher, student)
        if len(names[0]) != 1:
            raise ValueError(
                f"ClassCentres looks at one layer of each network. Received: teacher_layers={names[0]!r}, "
                f"student_layers={names[1]!r}"
            )
        return tuple([*each, "logits"] for each in names)

    def mismatch(self, teacher_shape, student_shape):
        shapes = (teacher_shape, student_shape)
        if any(not checks.is_shape(shape) or len(shape) != 2 or shape[-1] is None for shape in shapes):
            return "name layers with one vector of known size for each example"
        return ""

    def check_outputs(self, count):
        if count == 1:
            raise ValueError(
                "ClassCentres needs a class for each example, and so networks with a logit for each class. "
                "Received: logits of shape [batch, 1]"
            )

    def make_adaptor(self, teacher_shapes, student_shapes):
        adaptor = Centres(teacher_shapes[1][-1], teacher_shapes[0][-1], name="class_centres")
        adaptor.build(student_shapes[0])
        return adaptor

    def is_prepared(self, adaptor):
        return not np.isnan(ops.convert_to_numpy(adaptor.centres)).any()

    def prepare(self, adaptor, batches):
        sums = np.zeros(adaptor.centres.shape)
        counts = np.zeros(len(sums))
        for (penultimate, _), labels in batches:
            labels = np.asarray(ops.convert_to_numpy(class_numbers(labels)))
            is_class = (labels >= 0) & (labels < len(sums))
            np.add.at(sums, labels[is_class], penultimate[is_class].astype(np.float64))
            counts += np.bincount(labels[is_class], minlength=len(sums))
        if not counts.any():
            raise ValueError("ClassCentres needs examples with labels. Received: none")
        adaptor.centres.assign((sums / np.maximum(counts, 1)[:, None]).astype("float32"))

    def call(self, teacher, student, labels, adaptor):
        """float32 `[batch]`: see `norm_and_direction`."""
        return norm_and_direction(labels, adaptor.centres, teacher[0], adaptor(student[0]))


@keras.saving.register_keras_serializable(package="keras_kd")
class Centres(keras.Layer):
    """The centres of classes, NaN until they are known; called, it maps a student's features to their width.

    Args:
      classes: how many.
      width: d, of a centre.

    Attributes:
      centres: float32 `[classes, d]`, not trained.
    """

    def __init__(self, classes, width, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.classes = classes
        self.width = width
        self.dense = None

    def build(self, input_shape):
        self.centres = self.add_weight(
            name="centres",
            shape=(self.classes, self.width),
            initializer=keras.initializers.Constant(float("nan")),
            trainable=False,
        )
        if input_shape[-1] != self.width:
            self.dense = keras.layers.Dense(self.width, use_bias=False, name="to_teacher", dtype="float32")
            self.dense.build(input_shape)

    def call(self, student_features):
        return student_features if self.dense is None else self.dense(student_features)

    def get_config(self):
        return {**super().get_config(), "classes": self.classes, "width": self.width}
