"""Relational knowledge distillation: distances and angles between examples are to be the teacher's."""

import keras
from keras import ops

from keras_kd.losses import features
from keras_kd.losses.terms import FeatureTerm
from keras_kd.utils import limits

# Of float32, as a share of two vectors' lengths: differences below are none.
_ROUNDING = 2e-7


def relational_distance(teacher_features, student_features):
    """Huber loss of the distances between the examples of a batch.

    Distances are divided by their mean over all pairs of two examples; where that is 0, they stay 0.

    Args:
      teacher_features, student_features: float `[batch, ...]`, of any shapes; flattened.

    Returns:
      float32 scalar: mean over the batch^2 pairs, each example with itself included, as in the authors'
      code. Without unit; 0 where the features are equal up to a factor and a movement, and for one example.
      It takes memory for batch^2 * features numbers.

    Source: Park et al. 2019, arXiv:1904.05068, equations 4 to 6.
    """
    teacher, student = map(_distances, (teacher_features, student_features))
    return ops.mean(_huber(teacher - student))


def relational_angle(teacher_features, student_features):
    """Huber loss of the cosines of the angles in all triangles of three examples.

    Args:
      teacher_features, student_features: float `[batch, ...]`, of any shapes; flattened.

    Returns:
      float32 scalar: mean over the batch^3 triplets, as in the authors' code; the cosine is 0 where two of
      the three examples are one or have equal features. Without unit; 0 where the features are equal up to
      a factor and a movement, and for one example. It takes memory for batch^2 * (batch + features)
      numbers: 8 MB for each network's cosines at a batch of 128, 67 MB at 256.

    Source: Park et al. 2019, arXiv:1904.05068, equations 7 and 8.
    """
    teacher, student = map(_cosines, (teacher_features, student_features))
    return ops.mean(_huber(teacher - student))


def _differences(maps):
    """`[batch, batch, features]`: of example i and example j; 0 where they are equal.

    A compiler may round the two sides of `x - x` differently, and `unit` makes a direction of what is left.
    """
    rows = features.rescaled(features.rows(maps))
    gaps = ops.expand_dims(rows, 1) - ops.expand_dims(rows, 0)
    lengths = features.length(rows)
    rounding = _ROUNDING * (ops.expand_dims(lengths, 1) + ops.expand_dims(lengths, 0))
    are_equal = ops.sum(ops.square(gaps), axis=-1, keepdims=True) <= ops.expand_dims(rounding**2, -1)
    return ops.where(are_equal, 0.0, gaps)


def _distances(maps):
    distances = features.length(_differences(maps))
    count = ops.cast(ops.shape(distances)[0], "float32")
    mean = ops.sum(distances) / ops.maximum(count * (count - 1), 1.0)
    return distances / ops.where(ops.equal(mean, 0.0), 1.0, mean)


def _cosines(maps):
    """`[j, i, k]`: the cosine of the angle at example j between examples i and k."""
    directions = features.unit(_differences(maps))
    return ops.matmul(directions, ops.transpose(directions, (0, 2, 1)))


def _huber(x):
    """Huber's loss with delta 1."""
    size = ops.abs(x)
    quadratic = ops.minimum(size, 1.0)
    return quadratic * (size - 0.5 * quadratic)


@keras.saving.register_keras_serializable(package="keras_kd")
class RelationalKnowledge(FeatureTerm):
    """`distance_weight * relational_distance + angle_weight * relational_angle`.

    By default between what the last dense layers of both networks take.

    Args:
      teacher_layers, student_layers: names of layers, as many of each; None: the penultimate ones.
      distance_weight, angle_weight: numbers >= 0, not both 0.

    Raises:
      ValueError: for weights that are no such numbers.

    Source: Park et al. 2019 (RKD), arXiv:1904.05068.
    """

    looks_at = "penultimate"
    channels_last = False
    compares_examples = True

    def __init__(self, teacher_layers=None, student_layers=None, distance_weight=25.0, angle_weight=50.0):
        super().__init__(teacher_layers, student_layers)
        weights = limits.check_weights(distance_weight=distance_weight, angle_weight=angle_weight)
        self.distance_weight, self.angle_weight = weights

    def mismatch(self, teacher_shape, student_shape):
        """Why two layers cannot be compared; any features can."""
        return features.why_no_rows(teacher_shape, student_shape)

    def compare(self, teacher, student):
        """float32 scalar."""
        value = self.distance_weight * relational_distance(teacher, student)
        return value + self.angle_weight * relational_angle(teacher, student)

    def get_config(self):
        weights = {"distance_weight": self.distance_weight, "angle_weight": self.angle_weight}
        return {**super().get_config(), **weights}
