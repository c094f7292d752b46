"""Each block's output is pulled to that of the residual twin's block of the same name, less and less."""

import dataclasses

import keras

from keras_kd.distillation.shortcut_removal.by_terms import ByTerms
from keras_kd.models import blocks
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class Blockwise(ByTerms):
    """Mean squared error between the blocks of student and teacher; twins need no adaptor between.

    Attributes:
      blockwise_weight: of the mean over blocks, at the beginning; it falls to 0 along a cosine.
      blockwise_end: share of the training after which it is 0.
    """

    blockwise_weight: float = 1.0
    blockwise_end: float = 0.6

    name = "blockwise"

    def __post_init__(self):
        limits.TERM_WEIGHT.check("blockwise_weight", self.blockwise_weight)
        limits.TRAINING_SHARE.check("blockwise_end", self.blockwise_end)

    def terms(self, network, teacher, steps):
        ends = {block.name: block.last for block in blocks.blocks_of(teacher)}
        pairs = [(ends[block.name], block.last) for block in blocks.blocks_of(network) if block.add is None]
        weight = keras.optimizers.schedules.CosineDecay(
            self.blockwise_weight / len(pairs), max(1, round(self.blockwise_end * steps))
        )
        return [(weight, keras.distillation.FeatureDistillation("mse", *pair)) for pair in pairs]
