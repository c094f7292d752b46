"""Distillation losses: pure functions of logits, one value per example, and how they are reduced.

A new loss is one file here.
"""

from keras_kd.losses.binary_targets import (
    BinarySoftTargets,
    bernoulli_kl,
    decision_agreement,
    soft_targets_for,
)
from keras_kd.losses.reduction import (
    PROBABILITY_LOSSES,
    BatchMean,
    label_loss,
    per_example,
    replica_share,
    weigh_replicas,
    without_reduction,
)
from keras_kd.losses.soft_targets import (
    SoftTargets,
    agreement,
    check_alpha,
    check_temperature,
    soft_target_kl,
)
from keras_kd.losses.terms import DistillationTerm, FeatureTerm

__all__ = [
    "PROBABILITY_LOSSES",
    "BatchMean",
    "BinarySoftTargets",
    "DistillationTerm",
    "FeatureTerm",
    "SoftTargets",
    "agreement",
    "bernoulli_kl",
    "check_alpha",
    "check_temperature",
    "decision_agreement",
    "label_loss",
    "per_example",
    "replica_share",
    "soft_target_kl",
    "soft_targets_for",
    "weigh_replicas",
    "without_reduction",
]
