"""Distillation losses: pure functions of logits, one value per example, and how they are reduced.

A new loss is one file here.
"""

from keras_kd.losses.reduction import (
    PROBABILITY_LOSSES,
    BatchMean,
    label_loss,
    per_example,
    replica_share,
    without_reduction,
)
from keras_kd.losses.soft_targets import (
    SoftTargets,
    agreement,
    check_alpha,
    check_temperature,
    soft_target_kl,
)
from keras_kd.losses.terms import LossTerm, RowLossTerm

__all__ = [
    "PROBABILITY_LOSSES",
    "BatchMean",
    "LossTerm",
    "RowLossTerm",
    "SoftTargets",
    "agreement",
    "check_alpha",
    "check_temperature",
    "label_loss",
    "per_example",
    "replica_share",
    "soft_target_kl",
    "without_reduction",
]
