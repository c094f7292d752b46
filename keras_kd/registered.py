"""Imports every class that Keras registers, so that files of any version load: see `models.serialization`."""

from keras_kd.analysis.reuse.lesions import Switch
from keras_kd.distillation.distiller import Distiller
from keras_kd.losses.soft_targets import SoftTargets
from keras_kd.training.optimizers import GlobalClipSGD

__all__ = ["Distiller", "GlobalClipSGD", "SoftTargets", "Switch"]
