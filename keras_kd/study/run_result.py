"""What a run of a study measured, as it stands in the run's `result.json`."""

import dataclasses

from keras_kd.utils import limits, records, statistics

# What a run's numbers may be.
MEASURED = {
    **dict.fromkeys(("accuracy", "agreement", "validation_accuracy"), limits.SHARE),
    "loss": limits.Range(0, 1e39),  # float32 holds no more
    "parameters": limits.whole(0, limits.PARAMETERS),
    "seconds": limits.Range(0, 1e12),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """What one run measured.

    Attributes:
      accuracy, loss: on test, once, of the weights that are kept; the loss in nats.
      agreement: share of test examples for which network and teacher name the same class; None without one.
      validation_accuracy: of the weights that are kept: the last, or with early stopping the best epoch's.
      parameters: see `models.weights.count_parameters`.
      start: digest of the initial weights; see `weights.digest`.
      seconds: that the training took.
      history: `{metric: [value per epoch]}`.
      notes: sentences on what is likely wrong with the distillation.
    """

    accuracy: float
    loss: float
    agreement: float | None = None
    validation_accuracy: float
    parameters: int
    start: str
    seconds: float
    history: dict
    notes: tuple[str, ...] = ()

    @property
    def training_accuracy(self):
        """In the last epoch, on augmented images, as the weights were at each step; None if not kept."""
        return self.history["accuracy"][-1] if self.history.get("accuracy") else None

    @property
    def training_change(self):
        """By how much that rose over the last fifth of the epochs; None for fewer than two epochs."""
        return statistics.late_change(self.history.get("accuracy"))

    def to_json(self):
        values = records.json_values(self)
        empty = [name for name in ("agreement", "notes") if values[name] in (None, ())]
        return {name: value for name, value in values.items() if name not in empty}

    @classmethod
    def from_json(cls, values):
        """Raises a ValueError or TypeError for what is no result."""
        result = records.from_json(cls, values)
        for name in ("accuracy", "loss", "validation_accuracy", "seconds"):
            MEASURED[name].check(name, getattr(result, name))
        if result.agreement is not None:
            MEASURED["agreement"].check("agreement", result.agreement)
        if not isinstance(result.history, dict) or "val_accuracy" not in result.history:
            raise ValueError(f"a run's history needs val_accuracy. Received: history={result.history!r:.80}")
        return result
