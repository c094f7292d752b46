"""Flags that say how a teacher from a file is asked, and the network that they make of it."""

from keras_kd.cli.flags import TEACHER, Group
from keras_kd.training import config
from keras_kd.utils import specs


def define(values):
    """How a teacher from a file is asked."""
    teacher = Group(values, TEACHER)
    words = "How a teacher from a file wants its pixels; auto, if not given, measures it on validation."
    teacher.choice("teacher_preprocessing", None, config.TEACHER_PREPROCESSINGS, words)
    words = "File of the teacher's output for each class, where it has more: .json, .csv or .txt."
    teacher.text("class_map", None, words)
    teacher.switch("trust_teacher", None, "Go on with a teacher that seems to know nothing.")


def check(values, teachers):
    """Raises a ValueError for flags of a teacher from a file where none of the `teachers` named is one."""
    given = any(each and specs.is_file(each) for each in teachers)
    unused = [name for name in ("teacher_preprocessing", "class_map") if values[name].value is not None]
    if unused and not given:
        raise ValueError(f"--{unused[0]} is of a teacher from a file: give its path with --teacher")


def adapted(values, teacher, dataset, recorded=None):
    """The teacher as the student's images and classes need it; see `training.adapt_teacher`.

    Args:
      values: an `absl.flags.FlagValues`.
      teacher: a `keras.Model`.
      dataset: a `keras_kd.data.Dataset`.
      recorded: its test accuracy if a run of ours trained it, on images as a dataset normalises them.
    """
    from keras_kd.training import adapt_teacher

    return adapt_teacher(
        teacher,
        dataset,
        preprocessing=values.teacher_preprocessing or "auto",
        class_map=values.class_map,
        expected=None if recorded is None else "dataset",
        trust=bool(values.trust_teacher),
    )
