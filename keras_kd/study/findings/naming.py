"""What the runs of a study are called where people read: one name on pages, in tables and legends.

plain-20, width 8, fade, taught by residual-20 (T 4, alpha 0.9)
"""

from keras_kd.distillation import recipes
from keras_kd.study.design import KD, Run

_TWIN = "its residual twin"

_CONTROLS = {
    "smoothing": "label smoothing in place of {}",
    "shuffled": "shuffled logits of {}",
    "untrained": "an untrained {}",
}


def title(run):
    """A `design.Run` in words, without its seed."""
    return ", ".join([*_parts(run, _network(run)), *_taught(run, _teacher_name(run))])


def label(run):
    """The kind of network without its depth: what a line over depth stands for."""
    is_twin = run.is_taught and run.teacher.network == run.baseline
    by = _controlled(run, _TWIN) if is_twin else _teacher_name(run)
    kind = run.student or f"{run.variant.removesuffix(KD)}, width {run.width}"
    return ", ".join([*_parts(run, kind), *_taught(run, by)])


def _network(run):
    if run.student is not None:
        return run.student
    return f"{run.variant.removesuffix(KD)}-{run.depth}, width {run.width}"


def _parts(run, network):
    """The network, and what is not as usual of it and its training."""
    usual = {name: field.default for name, field in Run.__dataclass_fields__.items()}
    words = {
        "dropout": f"dropout {run.dropout:g}",
        "weight_decay": f"weight decay {run.weight_decay:g}",
        "label_fraction": f"{100 * run.label_fraction:g} % of the labels",
        "shortcut_removal": run.shortcut_removal,
        "augmentation": f"augmentation {run.augmentation}",
    }
    return [network, *(text for name, text in words.items() if getattr(run, name) != usual[name])]


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
    how = [] if run.loss == recipes.KD else [run.loss]
    if recipes.parse_spec(run.loss).has_kd:
        how += [f"T {run.temperature:g}", f"alpha {run.alpha:g}"]
    if run.alpha_epochs:
        how.append(f"for {run.alpha_epochs} epochs")
    return [f"taught by {by} ({', '.join(how)})"]
