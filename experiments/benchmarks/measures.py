"""What the seconds of the benchmark's steps say: medians, ratios, targets, what changed."""

import dataclasses
import statistics

from keras_kd import losses
from keras_kd.distillation import recipes
from keras_kd.utils import records

# (what, contender, its reference, the least ratio of their throughputs)
TARGETS = (
    ("cached : student alone", "cached", "student_alone", 0.95),
    ("cached : live", "cached", "live", 1.4),
    ("cached : keras.distillation", "cached", "keras_distillation", 1.5),
    ("live : keras.distillation", "live", "keras_distillation", 1.05),
    ("cached : PyTorch live", "cached", "torch", 1.3),
)

# Of the live step to its parts, the student's step and the teacher's forward pass.
PARTS, MOST = ("student_alone", "teacher_forward"), 1.03

# The greatest ratio of the times of steps with another loss to those with KD, where the source of the loss
# has it look at one example's logits, or at the batch or maps of attention.
MOST_OF_ROWS, MOST_OF_BATCHES = 1.05, 1.15


def _most(kind):
    """None for a loss with weights of its own, which may cost what they cost."""
    if not issubclass(kind, losses.FeatureTerm):
        return MOST_OF_BATCHES if kind.compares_examples else MOST_OF_ROWS
    return MOST_OF_BATCHES if kind.make_adaptor is losses.FeatureTerm.make_adaptor else None


# (what, contender, its reference, the greatest ratio of their times)
TIMES = (
    ("time of fade : residual twin", "fade", "residual_twin", 1.1),
    ("time of merge : residual twin", "merge", "residual_twin", 1.6),
    ("time of removed : student alone", "removed", "student_alone", 1.05),
    *(
        (f"time of {name} : live", name, "live", _most(kind))
        for name, kind in losses.NAMES.items()
        if name != recipes.KD and _most(kind)
    ),
)


@dataclasses.dataclass(frozen=True)
class StepTimes:
    """What a contender's steps say.

    Attributes:
      median: seconds of a step.
      spread: the distance of the quartiles over the median.
      images_per_second: at the median.
      first_step: seconds of the first step, tracing and compiling included.
      seconds: of each measured step.
      seconds_to_fill_a_view: of caching a teacher's logits; None of others.
      share_waiting_for_data: of a step's time; None where it was not measured.
      peak_bytes: most memory that the process had; None where it was not measured.
    """

    median: float
    spread: float
    images_per_second: float
    first_step: float
    seconds: list
    seconds_to_fill_a_view: float | None = None
    share_waiting_for_data: float | None = None
    peak_bytes: int | None = None

    def to_json(self):
        return {name: value for name, value in records.json_values(self).items() if value is not None}

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)


@dataclasses.dataclass(frozen=True)
class TargetRatio:
    """How contenders stand to each other: the wanted ratio, as text, and that of their medians."""

    wanted: str
    found: float
    met: bool


def step_times(batch_size, first, seconds, **measured):
    """A contender's `StepTimes`.

    Args:
      batch_size: examples a step.
      first: seconds of the first step, tracing and compiling included.
      seconds: of each measured step.
      **measured: further fields.
    """
    low, median, high = statistics.quantiles(
        seconds * 2 if len(seconds) == 1 else seconds, method="inclusive"
    )
    return StepTimes(median, (high - low) / median, batch_size / median, first, seconds, **measured)


def ratios(rows):
    """How contenders stand to each other.

    Args:
      rows: `{contender: StepTimes}`.

    Returns:
      `{what: TargetRatio}` for all whose contenders are there.
    """
    found = {}
    if {"live", *PARTS} <= rows.keys():
        ratio = rows["live"].median / sum(rows[part].median for part in PARTS)
        what = "time of live : student's step + teacher's forward"
        found[what] = TargetRatio(f"<= {MOST}", ratio, ratio <= MOST)
    for what, name, reference, most in TIMES:
        if {name, reference} <= rows.keys():
            ratio = rows[name].median / rows[reference].median
            found[what] = TargetRatio(f"<= {most}", ratio, ratio <= most)
    for what, name, reference, least in TARGETS:
        if {name, reference} <= rows.keys():
            ratio = rows[reference].median / rows[name].median
            found[what] = TargetRatio(f">= {least}", ratio, ratio >= least)
    return found


def changes(rows, before):
    """How much more time each contender takes than in another run, in units of the student alone.

    Machines differ and are noisy; the student's own step is the measure that both runs share.

    Args:
      rows, before: `{contender: StepTimes}`.

    Returns:
      `{contender: share}`: 0.1 is slower by a tenth; empty where a run lacks the student alone.
    """

    def in_steps(rows, name):
        return rows[name].median / rows["student_alone"].median

    if "student_alone" not in rows.keys() & before.keys():
        return {}
    return {
        name: in_steps(rows, name) / in_steps(before, name) - 1
        for name in rows
        if name in before and name != "student_alone"
    }
