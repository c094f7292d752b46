"""The rest of a frozen teacher behind a student's features: its answers are trained on labels and teacher."""

import keras
from keras import ops

from keras_kd.losses.labels import cross_entropy
from keras_kd.losses.soft_targets import check_alpha, check_temperature, soft_target_kl
from keras_kd.losses.terms import DistillationTerm
from keras_kd.models import graph


@keras.saving.register_keras_serializable(package="keras_kd")
class TailLoss(DistillationTerm):
    """`(1 - alpha) * CE(labels, tail) + alpha * soft_target_kl(teacher, tail)`, behind a student's features.

    Args:
      teacher: a functional `keras.Model` that returns logits; none of its weights is trained.
      teacher_layer: name of the layer behind which its tail begins.
      student_layer: name of the layer with the features, of the same shape; None: that of `teacher_layer`.
      temperature: softening factor, > 0.
      alpha: weight of the teacher, in [0, 1].

    Source: Li et al. 2020 (residual distillation, JointRD), NeurIPS 33, section 3.
    """

    asks_labels = True
    holds_network = True

    def __init__(self, teacher, teacher_layer, student_layer=None, *, temperature=4.0, alpha=0.9):
        self.temperature, self.alpha = check_temperature(temperature), check_alpha(alpha)
        self.tail_layer, self.student_layer_name = teacher_layer, student_layer or teacher_layer
        with graph.deep_graphs():
            self._tail = keras.Model(teacher.get_layer(teacher_layer).output, teacher.outputs[0])

    def call(self, teacher, student, labels):
        """float32 `[batch]`.

        Args:
          teacher: logits `[batch, classes]`.
          student: its features at the layer.
          labels: int `[batch]`, or shares of the classes, `[batch, classes]`.
        """
        logits = ops.cast(self._tail(student, training=False), "float32")
        hard = cross_entropy(labels, logits)
        soft = soft_target_kl(teacher, logits, self.temperature)
        return (1 - self.alpha) * hard + self.alpha * soft

    def get_config(self):
        """What it is known by: the teacher is not in it."""
        names = {"teacher_layer": self.tail_layer, "student_layer": self.student_layer_name}
        return {**names, "temperature": self.temperature, "alpha": self.alpha}
