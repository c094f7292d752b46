"""Probabilistic knowledge transfer: examples are to be as alike, in probability, as to the teacher."""

import keras
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.terms import FeatureTerm

# Of a probability inside a logarithm: the authors' value, and about what float32 resolves of a cosine.
_FLOOR = 1e-7


def probability_transfer(teacher_features, student_features):
    """Kullback-Leibler divergence between the similarities of a batch's examples.

    The cosine similarities of the examples (0 where one's features are all 0) are mapped to [0, 1], each
    row divided by its sum: P of the teacher, S of the student.

    Args:
      teacher_features, student_features: float `[batch, ...]`, of any shapes; flattened.

    Returns:
      float32 scalar: mean over the batch^2 entries of P (log P - log S), in nats; probabilities below 1e-7
      count as 1e-7 in the logarithms. 0 where all cosines are equal, and for one example.

    Source: Passalis and Tefas 2018, arXiv:1803.10837, equations 5 to 8, as a mean in place of a sum, as in
    the authors' code.
    """
    teacher, student = map(_probabilities, (teacher_features, student_features))
    log_ratio = ops.log(ops.maximum(teacher, _FLOOR)) - ops.log(ops.maximum(student, _FLOOR))
    return ops.mean(teacher * log_ratio)


def _probabilities(maps):
    """`[batch, batch]`, rows of sum 1."""
    directions = features.unit(features.rows(maps))
    similarities = (ops.matmul(directions, ops.transpose(directions)) + 1) / 2
    return similarities / ops.sum(similarities, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="keras_kd")
class ProbabilityTransfer(FeatureTerm):
    """`probability_transfer` between layers: by default what the last dense layers of both networks take.

    Args:
      teacher_layers, student_layers: names of layers, as many of each; None: the penultimate ones.

    Source: Passalis and Tefas 2018 (PKT), arXiv:1803.10837.
    """

    looks_at = "penultimate"
    channels_last = False
    compares_examples = True
    weight = 30000.0

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared; any features can."""
        return features.why_no_rows(teacher_shape, student_shape)

    def compare(self, teacher, student):
        """float32 scalar: see `probability_transfer`."""
        return probability_transfer(teacher, student)
