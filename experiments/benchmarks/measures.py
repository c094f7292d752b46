"""What the seconds of the benchmark's steps say: medians, ratios, targets, what changed."""

import statistics

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


def row(batch_size, first, seconds):
    """What a contender's steps say.

    Args:
      batch_size: examples a step.
      first: seconds of the first step, tracing and compiling included.
      seconds: of each measured step.

    Returns:
      `median` in seconds, `spread` (the distance of the quartiles over the median),
      `images_per_second`, `first_step` and `seconds`.
    """
    low, median, high = statistics.quantiles(
        seconds * 2 if len(seconds) == 1 else seconds, method="inclusive"
    )
    return {
        "median": median,
        "spread": (high - low) / median,
        "images_per_second": batch_size / median,
        "first_step": first,
        "seconds": seconds,
    }


def ratios(rows):
    """How contenders stand to each other.

    Args:
      rows: `{contender: row}`.

    Returns:
      `{what: {"wanted": text, "found": ratio of medians, "met": bool}}` for all whose contenders are there.
    """
    found = {}
    if {"live", *PARTS} <= rows.keys():
        ratio = rows["live"]["median"] / sum(rows[part]["median"] for part in PARTS)
        what = "time of live : student's step + teacher's forward"
        found[what] = {"wanted": f"<= {MOST}", "found": ratio, "met": ratio <= MOST}
    for what, name, reference, least in TARGETS:
        if {name, reference} <= rows.keys():
            ratio = rows[reference]["median"] / rows[name]["median"]
            found[what] = {"wanted": f">= {least}", "found": ratio, "met": ratio >= least}
    return found


def changes(rows, before):
    """How much more time each contender takes than in another run, in units of the student alone.

    Machines differ and are noisy; the student's own step is the measure that both runs share.

    Args:
      rows, before: `{contender: row}`.

    Returns:
      `{contender: share}`: 0.1 is slower by a tenth; empty where a run lacks the student alone.
    """

    def in_steps(rows, name):
        return rows[name]["median"] / rows["student_alone"]["median"]

    if "student_alone" not in rows.keys() & before.keys():
        return {}
    return {
        name: in_steps(rows, name) / in_steps(before, name) - 1
        for name in rows
        if name in before and name != "student_alone"
    }
