"""The Distiller, and the teacher's logits: asked live, cached on disk, or replaced by a control.

distiller = keras_kd.Distiller(teacher, student, temperature=4.0, alpha=0.9)
"""

from keras_kd.distillation.distiller import Distiller
from keras_kd.distillation.several_teachers import ensemble
from keras_kd.distillation.teacher_cache import TeacherLogits, cache_logits

__all__ = ["Distiller", "TeacherLogits", "cache_logits", "ensemble"]
