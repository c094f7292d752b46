"""What the folders of runs may be called: each run has one of its own, and file systems end a name somewhere.

run_folders.check(runs)
"""

import dataclasses

from keras_kd.utils import limits

# In bytes. File systems have 255 for a name, of which what is written beside a folder takes some.
LONGEST_NAME = 230


def path(study_folder, key):
    """The folder of the run of that key; `study_folder` is a `pathlib.Path`."""
    return study_folder / "runs" / key


def check(runs):
    """Raises a ValueError for two runs whose folder would be one, or a folder whose name is too long.

    Args:
      runs: `design.Run`s, each once.
    """
    of_folders = {}
    for run in runs:
        other = of_folders.setdefault(run.key, run)
        if other != run:
            raise ValueError(
                f"two runs would share the folder {limits.shown(run.key)}, which does not tell "
                f"{_difference(other, run)}: let them differ by more, or leave one out"
            )
        if len(run.key.encode()) > LONGEST_NAME:
            raise ValueError(
                f"the folder of a run would have a name of {len(run.key.encode())} bytes, and {LONGEST_NAME} "
                f"are the most: give its networks shorter names or paths. Received: {limits.shown(run.key)}"
            )


def _difference(one, other):
    """The first axis in which two unequal runs differ, or their teachers, with both values."""
    for field in dataclasses.fields(one):
        values = [getattr(run, field.name) for run in (one, other)]
        if values[0] == values[1]:
            continue
        if field.name == "teacher":
            return f"teachers apart, {_difference(*(teacher.network for teacher in values))}"
        first, second = values
        return f"{field.name}={first!r} from {field.name}={second!r}"
    return "them apart"
