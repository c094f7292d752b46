"""Imports every class that Keras registers, so that files of any version load: see `models.serialization`."""

from keras_kd.analysis.reuse.lesions import Switch
from keras_kd.distillation.distiller import Distiller
from keras_kd.losses import (
    AttentionTransfer,
    Hint,
    ProbabilityTransfer,
    RelationalKnowledge,
    SimilarityPreserving,
    SoftTargets,
    VariationalInformation,
)
from keras_kd.training.optimizers import GlobalClipSGD

__all__ = [
    "AttentionTransfer",
    "Distiller",
    "GlobalClipSGD",
    "Hint",
    "ProbabilityTransfer",
    "RelationalKnowledge",
    "SimilarityPreserving",
    "SoftTargets",
    "Switch",
    "VariationalInformation",
]
