"""What a study found, as frozen dataclasses; JSON, which has the names of earlier versions, at the edge."""

import dataclasses

from keras_kd.distillation import recipes
from keras_kd.study import design, table
from keras_kd.study.findings.cases import Case
from keras_kd.study.findings.replication import Replication
from keras_kd.utils import files, records
from keras_kd.utils.recovery import Recovery
from keras_kd.utils.statistics import Comparison, Estimate, Line


@dataclasses.dataclass(frozen=True)
class Condition:
    """What runs that differ by their seed alone share.

    Attributes:
      name: of `design.Run.condition`.
      title: what it is in words.
      label: the kind of network, without its depth: what a line over depth stands for.
      axes: `{column: value}`; see `design.COLUMNS`.
    """

    name: str
    title: str
    label: str
    axes: dict

    @property
    def depth(self):
        return self.axes["depth"]

    def to_json(self):
        return {"cell": self.name, **self.axes, "title": self.title, "label": self.label}

    @classmethod
    def from_json(cls, values):
        # Results of earlier versions have no title.
        return cls(values["cell"], values.get("title", values["cell"]), values["label"], _axes(values))


def _axes(values):
    return {name: values[name] for name in design.COLUMNS if name in values}


class _OfCondition:
    """A dataclass with a `condition`, whose columns stand beside the other fields in JSON."""

    def to_json(self):
        values = records.json_values(self)
        return values.pop("condition").to_json() | files.plain_values(values)

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values | {"condition": values})


@dataclasses.dataclass(frozen=True)
class ConditionAccuracy(_OfCondition):
    """The accuracy on test over the seeds of a condition, how often it is the teacher's, and its end.

    Attributes:
      condition: which.
      accuracy: on test.
      training_accuracy, training_change: means over seeds, see `RunResult`; None in results of earlier
        versions.
      agreement: with the teacher, mean over seeds, see `RunResult`; None without one.
    """

    condition: Condition
    accuracy: Estimate
    training_accuracy: float | None = None
    training_change: float | None = None
    agreement: float | None = None


@dataclasses.dataclass(frozen=True)
class ConditionGain(_OfCondition):
    """By how much a taught network is more accurate than the same network alone, over seeds."""

    condition: Condition
    gain: Estimate


@dataclasses.dataclass(frozen=True)
class ConditionRecovery:
    """The share of the drop that came back in a plain network with a teacher."""

    condition: Condition
    recovery: Recovery

    def to_json(self):
        return self.condition.to_json() | files.plain_values(self.recovery)

    @classmethod
    def from_json(cls, values):
        return cls(Condition.from_json(values), records.from_json(Recovery, values))


@dataclasses.dataclass(frozen=True)
class ConditionCurve(_OfCondition):
    """Accuracy on validation after each epoch, the mean over those of so many seeds that reached it."""

    condition: Condition
    seeds: int
    accuracy: list


@dataclasses.dataclass(frozen=True)
class RunGain:
    """One taught run's gain beside its teacher's advantage, both over the student alone.

    Attributes:
      run: its key.
      condition, seed: of the run.
      advantage, gain: differences of accuracies.
    """

    run: str
    condition: Condition
    seed: int
    advantage: float
    gain: float

    def to_json(self):
        columns = self.condition.to_json()
        del columns["cell"]
        return {"run": self.run} | columns | {name: getattr(self, name) for name in _GAIN_NUMBERS}

    @classmethod
    def from_json(cls, values):
        condition = values["run"].removesuffix(f"-s{values['seed']}")
        return records.from_json(cls, values | {"condition": values | {"cell": condition}})


_GAIN_NUMBERS = ("seed", "advantage", "gain")


@dataclasses.dataclass(frozen=True)
class AdvantageSlope:
    """Gain per teacher's advantage.

    Attributes:
      within_students: see `pairing.instrumented_slope`; in results of earlier versions the mean of the seeds'
        least-squares slopes.
      all_points: the line through all points, which also holds what the student's own luck puts into both.
    """

    within_students: Estimate
    all_points: Line


@dataclasses.dataclass(frozen=True)
class LabelledComparison:
    """Paired differences over seeds behind a verdict, and what they are of.

    Attributes:
      label, comparison: these.
      corrected_p: the comparison's p-value after Holm's correction over those of the verdict; None in results
        of earlier versions.
    """

    label: str
    comparison: Comparison
    corrected_p: float | None = None


@dataclasses.dataclass(frozen=True)
class VerdictSummary:
    """A `verdicts.Verdict` with its evidence in numbers.

    Attributes:
      claim, statement, rule, verdict, p_for, p_against: see `verdicts.Verdict`.
      numbers: `LabelledComparison`s.
      missing: what the study lacks to test the claim, in plain words; None if nothing.
      cases: `cases.Case`s of a claim about each of several comparisons; none in results of earlier versions.
    """

    claim: str
    statement: str
    rule: str
    verdict: str
    p_for: float
    p_against: float
    numbers: tuple[LabelledComparison, ...] = ()
    missing: str | None = None
    cases: tuple[Case, ...] = ()


@dataclasses.dataclass(frozen=True)
class RunRow:
    """A run's row of `results.csv`.

    Attributes:
      run, condition, seed: its key, and what it is made of.
      axes: `{column: value}`; see `design.COLUMNS`.
      status: "done" or "failed".
      accuracy, loss, agreement, validation_accuracy, parameters, seconds: see `RunResult`; None if it failed.
      training_accuracy, training_change: see `RunResult`; tables of earlier versions have no such columns.
      teacher_accuracy: of its teacher's run; None where it has none.
      error: why it failed, in one line.
    """

    run: str
    condition: str
    axes: dict
    seed: int
    status: str
    accuracy: float | None = None
    loss: float | None = None
    agreement: float | None = None
    validation_accuracy: float | None = None
    parameters: int | None = None
    seconds: float | None = None
    teacher_accuracy: float | None = None
    error: str | None = None
    training_accuracy: float | None = None
    training_change: float | None = None

    @property
    def is_done(self):
        return self.status == table.DONE

    @property
    def shortcut_removal(self):
        """As a text; rows of earlier versions say none."""
        return self.axes.get("shortcut_removal", design.Run.shortcut_removal)

    @property
    def loses_shortcuts(self):
        """Whether it has shortcuts, or branches in their place, that are gone when it is trained."""
        return self.shortcut_removal != design.Run.shortcut_removal

    @property
    def loss_text(self):
        """Of the distillation, likewise."""
        return self.axes.get(design.DISTILLATION_LOSS) or recipes.KD

    @property
    def initial_weights(self):
        """Where the weights begin, likewise."""
        return self.axes.get("initial_weights", design.Run.initial_weights)

    def to_json(self):
        values = records.json_values(self, _ROW_NAMES)
        axes = values.pop("axes")
        return {"run": values.pop("run"), "cell": values.pop("cell")} | axes | values

    @classmethod
    def from_json(cls, values):
        return cls(**records.field_values(cls, values | {"axes": _axes(values)}, _ROW_NAMES))


_ROW_NAMES = {"condition": "cell"}


@dataclasses.dataclass(frozen=True)
class StudySummary:
    """All that a study found. Numbers that are not defined are None.

    Attributes:
      verdicts: a `VerdictSummary` for each claim.
      conditions: a `ConditionAccuracy` for each.
      gains, recoveries, curves: `ConditionGain`s, `ConditionRecovery`s and `ConditionCurve`s.
      points: a `RunGain` for each taught run.
      slope: an `AdvantageSlope`; None for too few points.
      rows: a `RunRow` for each run.
    """

    verdicts: tuple[VerdictSummary, ...]
    conditions: tuple[ConditionAccuracy, ...]
    gains: tuple[ConditionGain, ...]
    recoveries: tuple[ConditionRecovery, ...]
    points: tuple[RunGain, ...]
    slope: AdvantageSlope | None
    curves: tuple[ConditionCurve, ...]
    rows: tuple[RunRow, ...]

    @property
    def depths(self):
        """All that the study has, rising; networks that specs name have none."""
        return sorted({each.condition.depth for each in self.conditions} - {None})

    def to_json(self):
        found = records.json_values(self, _SUMMARY_NAMES)
        return {
            name: [_to_json(each) for each in value] if isinstance(value, tuple) else _to_json(value)
            for name, value in found.items()
        }

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values, _SUMMARY_NAMES)


_SUMMARY_NAMES = {"conditions": "cells"}


def _to_json(record):
    return files.plain_values(record.to_json() if hasattr(record, "to_json") else record)


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """A study's `result.json`.

    Attributes:
      study, question, claims, seeds, margin: see `config.StudyConfig`.
      command: that was typed.
      grew: whether runs were added after the study had begun.
      description: of data, settings, versions and machine; see `training.description.describe`.
      summary: the `StudySummary`.
      replications: `Replication`s, where it repeats a study with other seeds.
      notes: what is likely wrong in its runs, see `reporting.notes.grouped`.
    """

    study: str
    question: str
    claims: tuple[str, ...]
    command: str
    seeds: tuple[int, ...]
    margin: float
    description: dict
    summary: StudySummary
    grew: bool = False
    replications: tuple[Replication, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()

    def to_json(self):
        values = records.json_values(self)
        for name in ("replications", "notes"):
            if not values[name]:
                del values[name]  # as in results of earlier versions
        description, summary = values.pop("description"), values.pop("summary")
        return files.plain_values({"grew": values.pop("grew")} | values | description) | summary.to_json()

    @classmethod
    def from_json(cls, values):
        known = {field.name for owner in (cls, StudySummary) for field in dataclasses.fields(owner)}
        known |= set(_SUMMARY_NAMES.values())
        description = {name: value for name, value in values.items() if name not in known}
        return records.from_json(cls, values | {"description": description, "summary": values})
