"""What a search found, as frozen dataclasses, and as its `result.json`."""

import dataclasses

from keras_kd.reporting import notes
from keras_kd.utils import files, records
from keras_kd.utils.statistics import Estimate


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """What became of a trial.

    Attributes:
      trial: its id.
      values: `{name: value}` of the space.
      status: keras-tuner's: "COMPLETED", "FAILED", "RUNNING" or "INVALID" (it will run again).
      epochs: it was trained for.
      score: mean of the objective over the seeds, None without.
      measures: `{measure: [value per seed]}`; empty where the worker's file is not to be seen.
      seconds: wall-clock time of all seeds in the process that ended it, from where that one took it up; of a
        promoted trial, those of this round.
      error: why it failed; None of others.
      folder: name of the folder in `trials` in which it was trained; None without a score.
      notes: sentences on what is likely wrong with its distillations.
    """

    trial: str
    values: dict
    status: str
    epochs: int
    score: float | None = None
    measures: dict = dataclasses.field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None
    folder: str | None = None
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class SeedMeasures:
    """What a setting gave with one seed: accuracy and loss on test, accuracy on validation."""

    accuracy: float
    loss: float
    seed: int
    validation_accuracy: float


@dataclasses.dataclass(frozen=True)
class SettingMeasures:
    """What a setting gave over the seeds.

    Attributes:
      values: `{name: value}` of the setting.
      per_seed: `SeedMeasures`.
      accuracy, loss, validation_accuracy: their `Estimate`s.
    """

    values: dict
    per_seed: tuple[SeedMeasures, ...]
    accuracy: Estimate
    loss: Estimate
    validation_accuracy: Estimate


@dataclasses.dataclass(frozen=True)
class TestMeasures:
    """The best and the default setting on test, and the best one's gain in accuracy, paired by seed."""

    __test__ = False  # pytest takes the name for a test's

    best: SettingMeasures
    default: SettingMeasures
    gain: Estimate


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """A search's `result.json`. Numbers that are not defined are None.

    Attributes:
      command: that was typed.
      tuner: its name.
      objective: the measure that trials are judged by.
      direction: "max" or "min" of it.
      space: `{name: (low, high) or choices}`.
      epochs: of a training to the end.
      seeds: of the students of each trial.
      trials: `TrialRecord`s, in the order in which they began.
      best: the one with the best score among those trained to the end.
      description: of data, settings, versions and machine; see `training.description.describe`.
      test: `TestMeasures`; None before test was touched.
    """

    command: str
    tuner: str
    objective: str
    direction: str
    space: dict
    epochs: int
    seeds: tuple[int, ...]
    trials: tuple[TrialRecord, ...]
    best: TrialRecord
    description: dict
    test: TestMeasures | None = None

    @property
    def scored(self):
        """Trials with a score."""
        return [trial for trial in self.trials if trial.score is not None]

    @property
    def notes(self):
        """What is likely wrong in its trials, as `reporting.notes.grouped` returns it."""
        return notes.grouped((f"trial {trial.trial}", trial.notes) for trial in self.trials)

    @property
    def failed(self):
        return [trial for trial in self.trials if trial.error]

    @property
    def reused(self):
        """Trials that went on where another had stopped, in its folder: those that Hyperband promoted."""
        own = [(trial, (trial.folder or trial.trial).partition("-")[0]) for trial in self.trials]
        return [trial for trial, folder in own if folder != trial.trial]

    def to_json(self):
        values = records.json_values(self)
        description, test = values.pop("description"), values.pop("test")
        return files.plain_values(values | description | {"test": test})

    @classmethod
    def from_json(cls, values):
        known = {field.name for field in dataclasses.fields(cls)}
        description = {name: value for name, value in values.items() if name not in known}
        return records.from_json(cls, values | {"description": description})
