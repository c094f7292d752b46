"""Similarity-preserving distillation: examples alike to the teacher are to be alike to the student."""

import keras
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.terms import FeatureTerm


def similarity_preserving(teacher_features, student_features):
    """Mean squared difference of the similarities of a batch's examples.

    G = F F^T, with F the features flattened to `[batch, features]`, each row divided by its L2 norm. A row
    of an example whose features are all 0 is 0.

    Args:
      teacher_features, student_features: float `[batch, ...]`, of any shapes.

    Returns:
      float32 scalar: the squared Frobenius norm of G_teacher - G_student, divided by batch^2. Without unit;
      0 where the features are equal up to a factor or a rotation.

    Source: Tung and Mori 2019, arXiv:1907.09682, equations 1 to 4.
    """
    teacher, student = map(_similarities, (teacher_features, student_features))
    return ops.mean(ops.square(teacher - student))


def _similarities(maps):
    """`[batch, batch]`, rows of length 1."""
    rows = features.rescaled(features.rows(maps))
    return features.unit(ops.matmul(rows, ops.transpose(rows)))


@keras.saving.register_keras_serializable(package="keras_kd")
class SimilarityPreserving(FeatureTerm):
    """`similarity_preserving` between layers: by default the ends of the last stages.

    Args:
      teacher_layers, student_layers: names of layers, as many of each; None: the ends of the last stages.

    Source: Tung and Mori 2019, arXiv:1907.09682.
    """

    looks_at = "last_stage"
    channels_last = False
    compares_examples = True
    weight = 3000.0

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared; any features can."""
        return features.why_no_rows(teacher_shape, student_shape)

    def compare(self, teacher, student):
        """float32 scalar: see `similarity_preserving`."""
        return similarity_preserving(teacher, student)
