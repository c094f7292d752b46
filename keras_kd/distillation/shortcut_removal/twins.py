"""Whether a teacher is the residual twin of a student: the same blocks and widths, with shortcuts."""

from keras_kd.distillation import several_teachers
from keras_kd.models import blocks, fading, weights


def check_twin(student, teacher, name, what="a teacher"):
    """Raises a ValueError for a teacher of other blocks or widths, without shortcuts, or for several.

    Args:
      student: a network of `keras_kd.models` without shortcuts.
      teacher: its residual twin, or what is given for it.
      name: of the way that needs it.
      what: the twin is to the student.
    """
    if teacher is None:
        raise ValueError(
            f"shortcut_removal={name!r} needs {what}, the student's residual twin. Received: teacher=None"
        )
    several_teachers.check_one(teacher, f"shortcut_removal={name!r}")
    fading.plain_blocks(student)  # says where there is nothing to lose
    wrong = _differences(student, teacher)
    if wrong:
        raise ValueError(
            f"shortcut_removal={name!r} needs {what} with the student's blocks and widths. Received: "
            f"{teacher.name!r} and {student.name!r}, which differ in {wrong[0]!r} ({len(wrong)} such in all)"
        )
    cut = [block.name for block in blocks.blocks_of(teacher) if block.add is None]
    if cut:
        raise ValueError(
            f"shortcut_removal={name!r} needs {what} with shortcuts, the student's residual twin. Received: "
            f"{teacher.name!r}, whose {cut[0]!r} has none ({len(cut)} such in all)"
        )


def _differences(student, teacher):
    """The blocks that one of two networks has alone, and the weights of other shapes."""
    names = [{block.name for block in blocks.blocks_of(model)} for model in (student, teacher)]
    given = weights.by_layer(teacher)
    return sorted(names[0] ^ names[1]) + [
        weight.path
        for key, weight in weights.by_layer(student).items()
        if given.get(key, weight).shape != weight.shape
    ]
