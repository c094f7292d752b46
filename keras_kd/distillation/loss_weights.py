"""What each part of a Distiller's loss is multiplied by."""

import keras

from keras_kd.losses import check_alpha
from keras_kd.utils import limits

Schedule = keras.optimizers.schedules.LearningRateSchedule


class LossWeights:
    """The weights of labels, teacher and terms, in any step.

    Args:
      alpha: of the teacher's term, a number in [0, 1] or a `LearningRateSchedule` of the steps.
      label_weight: of the labels' term; None: 1 - alpha.
      terms: `{name: terms.Term}`.

    Attributes:
      alpha: as given.
      label_weight: a number, 0 where alpha is 1 and none was given; else None.

    Raises:
      ValueError: for a weight out of range.
    """

    def __init__(self, alpha, label_weight, terms):
        self.alpha = alpha if isinstance(alpha, Schedule) else check_alpha(alpha)
        self.label_weight = label_weight
        if label_weight is not None:
            self.label_weight = float(limits.TERM_WEIGHT.check("label_weight", label_weight))
        elif self.alpha == 1.0:
            self.label_weight = 0.0
        self._terms = terms

    def alpha_at(self, step):
        """A number or a scalar tensor."""
        return self.alpha(step) if isinstance(self.alpha, Schedule) else self.alpha

    def at(self, step):
        """`{name of the part, as logged: number or scalar tensor}`."""
        alpha = self.alpha_at(step)
        label_weight = 1 - alpha if self.label_weight is None else self.label_weight
        of_terms = {name: term.weight_at(step) for name, term in self._terms.items()}
        return {"hard_loss": label_weight, "soft_loss": alpha} | of_terms

    def sum(self, parts, step):
        """The weighted sum of `{name: scalar}`, without those that weigh 0, which may be infinite."""
        weights = self.at(step)
        return sum(weights[name] * part for name, part in parts.items() if not _is_zero(weights[name]))

    def check_loss(self, loss):
        """Raises a ValueError where labels are needed and have no loss, or nothing is trained."""
        asking = [name.removesuffix("_loss") for name, term in self._terms.items() if term.asks_labels]
        if loss is None and (self.label_weight != 0.0 or asking):
            unless = f"for {asking[0]}" if asking else "unless alpha is 1 or label_weight 0"
            raise ValueError(
                f"compile needs a loss for the labels {unless}, such as "
                f"keras.losses.SparseCategoricalCrossentropy(from_logits=True). Received: loss=None"
            )
        of_terms = [term.weight for term in self._terms.values()]
        if all(_is_zero(weight) for weight in (self.alpha, self.label_weight, *of_terms)):
            raise ValueError(
                "nothing would be trained: give the labels, the teacher or a term a weight. "
                f"Received: alpha={self.alpha}, label_weight={self.label_weight}, "
                f"terms of the weights {of_terms}"
            )


def _is_zero(weight):
    return isinstance(weight, (int, float)) and weight == 0
