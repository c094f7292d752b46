"""Imports every class that Keras registers, so that files of any version load: see `models.serialization`."""

from keras_kd.analysis.reuse.lesions import Switch
from keras_kd.distillation.distiller import Distiller
from keras_kd.distillation.teacher_inputs import TeacherInputs
from keras_kd.losses import (
    AttentionTransfer,
    Hint,
    ProbabilityTransfer,
    RelationalKnowledge,
    SimilarityPreserving,
    SoftTargets,
    VariationalInformation,
)
from keras_kd.models.logits import ClassLogits
from keras_kd.models.outputs import LogitsOfProbabilities, WithoutActivation
from keras_kd.training.optimizers import GlobalClipSGD

__all__ = [
    "AttentionTransfer",
    "ClassLogits",
    "Distiller",
    "GlobalClipSGD",
    "Hint",
    "LogitsOfProbabilities",
    "ProbabilityTransfer",
    "RelationalKnowledge",
    "SimilarityPreserving",
    "SoftTargets",
    "Switch",
    "TeacherInputs",
    "VariationalInformation",
    "WithoutActivation",
]
