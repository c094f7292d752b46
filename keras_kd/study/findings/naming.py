"""What the runs of a study are called where people read: one name on pages, in tables and legends.

plain-20, width 8, fade, taught by residual-20 (T 4, alpha 0.9)
"""

import dataclasses
import re

from keras_kd.distillation import recipes
from keras_kd.reporting import formatting
from keras_kd.study.design import KD, Run
from keras_kd.utils import seeding

_TWIN = "its residual twin"

_OWN_START = "own initial weights"

_CONTROLS = {
    "smoothing": "label smoothing in place of {}",
    "shuffled": "shuffled logits of {}",
    "untrained": "an untrained {}",
}


def title(run):
    """A `design.Run` in words, without its seed."""
    return ", ".join([*_parts(run, _network(run)), *_taught(run, _teacher_name(run))])


def title_with_seed(run):
    """A `design.Run` in words, with its seed."""
    return f"{title(run)}, seed {run.seed}"


def title_of_row(row, titles):
    """A `results.RunRow` in words, with its seed.

    Args:
      row: of the table.
      titles: `{condition: title}` of the conditions that have an accuracy. Of others the table does not spell
        out who teaches.
    """
    if row.condition in titles:
        return f"{titles[row.condition]}, seed {row.seed}"
    names = {*Run.__dataclass_fields__} - {"teacher", "loss", *recipes.OF_KD}
    axes = {name: value for name, value in row.axes.items() if name in names}
    alone = Run(**axes | {"variant": row.axes["variant"].removesuffix(KD), "shortcut_removal": "none"})
    removed = [spec(row.shortcut_removal)] if row.loses_shortcuts else []
    return ", ".join([title(alone), *removed, *_taught_of_row(row), f"seed {row.seed}"])


def _taught_of_row(row):
    """As `_taught` says it of a run, as far as a row knows."""
    axes = row.axes
    if not axes["variant"].endswith(KD):
        return []
    how = _how(row.loss_text, *(axes[name] for name in recipes.OF_KD))
    return [f"taught by {axes['teacher']} ({how})"]


def spec(text):
    """A way to lose shortcuts, or a loss, in words: "fade+merge (fade_end 0.7)"."""
    return "+".join(map(_one_spec, re.split(r"\+(?=[a-z])", text)))


def _one_spec(text):
    name, *options = text.split(":")
    told = [f"{option} {_value(value)}" for option, _, value in (each.partition("=") for each in options)]
    return f"{name} ({', '.join(told)})" if told else name


def _value(text):
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def label(run):
    """The kind of network without its depth: what a line over depth stands for."""
    by = _controlled(run, _twin(run)) if _is_taught_by_twin(run) else _teacher_name(run)
    kind = run.student or f"{run.variant.removesuffix(KD)}, width {run.width}"
    return ", ".join([*_parts(run, kind), *_taught(run, by)])


def _is_taught_by_twin(run):
    """Whether the teacher is the student's residual twin, wherever it began."""
    if not run.is_taught or run.baseline is None:
        return False
    return dataclasses.replace(run.teacher.network, initial_weights=run.initial_weights) == run.baseline


def _twin(run):
    own = run.teacher.network.initial_weights == seeding.OWN
    return f"{_TWIN} of {_OWN_START}" if own else _TWIN


def _network(run):
    if run.student is not None:
        return run.student
    return f"{run.variant.removesuffix(KD)}-{run.depth}, width {run.width}"


def _parts(run, network):
    """The network, and what is not as usual of it and its training."""
    words = {
        "dropout": f"dropout {run.dropout:g}",
        "weight_decay": f"weight decay {run.weight_decay:g}",
        "label_fraction": f"{100 * run.label_fraction:g} % of the labels",
        "shortcut_removal": spec(run.shortcut_removal),
        "augmentation": f"augmentation {run.augmentation}",
        "initial_weights": _OWN_START,
    }
    return [network, *(text for name, text in words.items() if getattr(run, name) != getattr(Run, name))]


def _teacher_name(run):
    """Its network, of the student's width unless another is said; None without a teacher."""
    if not run.is_taught:
        return None
    teacher = run.teacher.network
    name, *others = _parts(teacher, _network(teacher))
    if teacher.student is None:
        name = f"{teacher.variant.removesuffix(KD)}-{teacher.depth}"
        others = [*([] if teacher.width == run.width else [f"width {teacher.width}"]), *others]
    text = f"{name} of {' and '.join(others)}" if others else name
    if teacher.is_taught:
        (by,) = _taught(teacher, _teacher_name(teacher))
        text = f"[{text} {by}]"
    return _controlled(run, text)


def _controlled(run, teacher):
    return _CONTROLS.get(run.teacher.control, "{}").format(teacher)


def _taught(run, by):
    """`["taught by residual-20 (T 4, alpha 0.9)"]`, or nothing."""
    if not run.is_taught:
        return []
    return [f"taught by {by} ({_how(run.loss, run.temperature, run.alpha, run.alpha_epochs)})"]


def _how(loss, temperature, alpha, alpha_epochs):
    """The loss if it is another than KD alone, and what kd is told: "dkd+kd, T 4, alpha 0.9"."""
    told = [] if loss == recipes.KD else [spec(loss)]
    if recipes.parse_spec(loss).has_kd:
        told.append(kd_settings(temperature, alpha, alpha_epochs))
    return ", ".join(told)


def kd_settings(temperature, alpha, alpha_epochs):
    """What kd is told, in words: "T 4, alpha 0.9, for 5 epochs"."""
    stay = f", for {formatting.counted(alpha_epochs, 'epoch')}" if alpha_epochs else ""
    return f"T {temperature:g}, alpha {alpha:g}{stay}"
