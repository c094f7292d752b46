"""Branches beside each 3x3 convolution in place of shortcuts; after training they are folded away."""

import dataclasses

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval
from keras_kd.models import branches


@dataclasses.dataclass(frozen=True)
class Merge(ShortcutRemoval):
    """Identity and BatchNorm beside each 3x3 convolution, merged after training into the plain network.

    Attributes:
      merge_pointwise: whether a 1x1 convolution with BatchNorm stands beside each, too.

    Source: Ding et al. 2021 (RepVGG), arXiv:2101.03697, sections 3.2 and 3.3.
    """

    merge_pointwise: bool = False

    name = "merge"

    def __post_init__(self):
        if not isinstance(self.merge_pointwise, bool):
            raise ValueError(
                f"merge_pointwise must be True or False. Received: merge_pointwise={self.merge_pointwise!r}"
            )

    def start(self, student, steps, teacher=None):
        return branches.with_branches(student, self.merge_pointwise)

    def finish(self, network, student):
        branches.merge_branches(network, student)
