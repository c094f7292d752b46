"""Flags that say which networks: a spec each, or the short form of `cifar_resnet`.

--student=cifar_resnet:20:width=8:shortcuts=none  # the same as:
--student_depth=20 --student_width=8 --student_shortcuts=none
"""

from keras_kd.models import block_specs
from keras_kd.utils import specs

# What a network is asked for with where no spec of it is given: `cifar_resnet` of these.
SHORT_FORMS = {
    "student": ("student_depth", "student_width", "student_shortcuts"),
    "teacher": ("teacher_depth", "teacher_width"),
}


def check(values):
    """Raises a ValueError that names the flag if a network is given twice, or cannot be built."""
    for role in SHORT_FORMS:
        if f"{role}_depth" not in values:
            continue
        if values[role].value:
            _check_given_once(values, role)
            continue
        depth, width = values[f"{role}_depth"].value, values[f"{role}_width"].value
        try:
            block_specs.cifar_plan(depth, width)
        except ValueError as error:
            raise ValueError(f"--{role}_depth={depth} --{role}_width={width}: {error}") from error


def _check_given_once(values, role):
    """Raises a ValueError for a spec beside its short form; flagfiles have that beside a teacher's file."""
    spec = values[role].value
    also = [name for name in SHORT_FORMS[role] if values[name].present]
    if also and not (role == "teacher" and specs.is_file(spec)):
        raise ValueError(
            f"--{role}={spec} and --{also[0]} both say which network the {role} is: leave --{also[0]} out"
        )


def short_forms_unused(values):
    """Names of the short forms of networks that a spec says, or --init.

    Those beside the file of a teacher have always stood in flagfiles, and stay.
    """
    given = {role: values[role].value for role in SHORT_FORMS if role in values and values[role].value}
    if "init" in values and values.init:
        given["student"] = values.init
    return [
        name
        for role, spec in given.items()
        if role == "student" or not specs.is_file(spec)
        for name in SHORT_FORMS[role]
    ]


def given_names(values, role):
    """Names of the flags that say which network the student, or the teacher, is."""
    return (role,) if values[role].value else SHORT_FORMS[role]
