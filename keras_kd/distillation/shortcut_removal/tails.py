"""The student's features also run through the rest of the residual teacher, which says how good they are."""

import dataclasses
import operator

import keras

from keras_kd.distillation.shortcut_removal.by_terms import ByTerms
from keras_kd.losses.tails import TailLoss
from keras_kd.models import blocks
from keras_kd.utils import limits

PLACES = ("stages", "blocks")


@dataclasses.dataclass(frozen=True)
class Tails(ByTerms):
    """A `TailLoss` behind some of the blocks; a cosine from 1 on weighs their mean.

    Attributes:
      tails_behind: "stages": behind the last block of each stage but the last; "blocks": behind each block
        but the last.
      tails_end_weight: what the weight falls to.
      tails_temperature, tails_alpha: as for `TailLoss`.

    A network of one stage, or of one block, is refused: no tail would stand behind it.

    Source: Li et al. 2020 (JointRD), NeurIPS 33, section 3; the weights are its settings.
    """

    tails_behind: str = "stages"
    tails_end_weight: float = 0.5
    tails_temperature: float = 4.0
    tails_alpha: float = 0.9

    name = "tails"
    compares_classes = True

    def __post_init__(self):
        limits.check_choice("tails_behind", self.tails_behind, PLACES)
        limits.SHARE.check("tails_end_weight", self.tails_end_weight)
        limits.TEMPERATURE.check("tails_temperature", self.tails_temperature)
        limits.ALPHA.check("tails_alpha", self.tails_alpha)

    def terms(self, network, teacher, steps):
        ends, of_teacher = (self._ends(model) for model in (network, teacher))
        if not ends:
            raise ValueError(
                f"tails needs two {self.tails_behind}, for one stands behind each but the last. "
                f"Received: the student {network.name!r}, whose blocks are all of one"
            )
        weight = keras.optimizers.schedules.CosineDecay(1 / len(ends), steps, alpha=self.tails_end_weight)
        options = {"temperature": self.tails_temperature, "alpha": self.tails_alpha}
        return [(weight, TailLoss(teacher, *pair, **options)) for pair in zip(of_teacher, ends, strict=True)]

    def _ends(self, network):
        """Names of the layers behind which a tail stands."""
        of = operator.attrgetter("stage" if self.tails_behind == "stages" else "name")
        return list({of(block): block.last for block in blocks.blocks_of(network)}.values())[:-1]
