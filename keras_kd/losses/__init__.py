"""Distillation losses: pure functions of logits, one value per example, and how they are reduced.

A new loss is one file here.
"""

from keras_kd.losses.attention_transfer import AttentionTransfer, attention_transfer
from keras_kd.losses.binary_targets import (
    BINARY_LOSSES,
    BinarySoftTargets,
    bernoulli_kl,
    decision_agreement,
    right_decisions,
    soft_targets_for,
)
from keras_kd.losses.class_centres import ClassCentres, class_direction, norm_and_direction
from keras_kd.losses.decoupled_targets import DecoupledTargets, decoupled_kl
from keras_kd.losses.dist import Dist, dist
from keras_kd.losses.hint import Hint, hint
from keras_kd.losses.knowledge_review import KnowledgeReview, hierarchical_context
from keras_kd.losses.labels import class_numbers, is_target
from keras_kd.losses.multi_level_targets import MultiLevelTargets, multi_level_kl
from keras_kd.losses.normalized_targets import NormalizedTargets, normalized_kd
from keras_kd.losses.probability_transfer import ProbabilityTransfer, probability_transfer
from keras_kd.losses.reduction import (
    PROBABILITY_LOSSES,
    BatchMean,
    label_loss,
    per_example,
    replica_share,
    without_reduction,
)
from keras_kd.losses.relational import RelationalKnowledge, relational_angle, relational_distance
from keras_kd.losses.similarity_preserving import SimilarityPreserving, similarity_preserving
from keras_kd.losses.simple_kd import SimpleKD, with_teacher_classifier
from keras_kd.losses.soft_targets import (
    CLASS_LOSSES,
    SoftTargets,
    agreement,
    check_alpha,
    check_temperature,
    soft_target_kl,
)
from keras_kd.losses.standardized_targets import StandardizedTargets, standardized_kl
from keras_kd.losses.terms import DistillationTerm, FeatureTerm
from keras_kd.losses.variational_information import VariationalInformation, gaussian_nll

# Every method by the name that flags, study files and `distillation.recipes` call it.
NAMES = {
    "kd": SoftTargets,
    "standardized": StandardizedTargets,
    "dkd": DecoupledTargets,
    "nkd": NormalizedTargets,
    "dist": Dist,
    "mlkd": MultiLevelTargets,
    "fitnets": Hint,
    "at": AttentionTransfer,
    "sp": SimilarityPreserving,
    "rkd": RelationalKnowledge,
    "pkt": ProbabilityTransfer,
    "vid": VariationalInformation,
    "review": KnowledgeReview,
    "simkd": SimpleKD,
    "kdpp": ClassCentres,
}

__all__ = [
    "BINARY_LOSSES",
    "CLASS_LOSSES",
    "NAMES",
    "PROBABILITY_LOSSES",
    "AttentionTransfer",
    "BatchMean",
    "BinarySoftTargets",
    "ClassCentres",
    "DecoupledTargets",
    "Dist",
    "DistillationTerm",
    "FeatureTerm",
    "Hint",
    "KnowledgeReview",
    "MultiLevelTargets",
    "NormalizedTargets",
    "ProbabilityTransfer",
    "RelationalKnowledge",
    "SimilarityPreserving",
    "SimpleKD",
    "SoftTargets",
    "StandardizedTargets",
    "VariationalInformation",
    "agreement",
    "attention_transfer",
    "bernoulli_kl",
    "check_alpha",
    "check_temperature",
    "class_direction",
    "class_numbers",
    "decision_agreement",
    "decoupled_kl",
    "dist",
    "gaussian_nll",
    "hierarchical_context",
    "hint",
    "is_target",
    "label_loss",
    "multi_level_kl",
    "norm_and_direction",
    "normalized_kd",
    "per_example",
    "probability_transfer",
    "relational_angle",
    "relational_distance",
    "replica_share",
    "right_decisions",
    "similarity_preserving",
    "soft_target_kl",
    "soft_targets_for",
    "standardized_kl",
    "with_teacher_classifier",
    "without_reduction",
]
