"""Runs that another study trained already, taken over: what a run gives depends on data, recipe and itself.

taken = taken_runs.take(study, "runs/study-routes_cifar10")
"""

import pathlib
import shutil

from keras_kd.study import network_files, run_folders, runner
from keras_kd.utils import files, folders, identity, run_dir

# What is said of a study and changes no number of its runs.
_OF_THE_STUDY = ("margin", "claims")

# Of a run that has ended: what it would have gone on from.
_NOT_TAKEN = (".lock*", "checkpoints")


def take(study, folder):
    """Copies runs that have ended in another study, which may still be at work, and are runs of this one.

    What this study has begun itself stays as it is.

    Args:
      study: a `runner.Study`.
      folder: of the other study.

    Returns:
      The `design.Run`s that were taken.

    Raises:
      ValueError: if the folder is of no study, or of one whose data, recipe, versions, threads or networks
        in files are others.
    """
    folder = pathlib.Path(folder)
    _check_alike(study, folder)
    return [run for run in study.runs if _take_run(study, run_folders.path(folder, run.key), run)]


def _check_alike(study, folder):
    path = folder / runner.STUDY
    if not path.is_file():
        raise ValueError(f"runs can be taken from the folder of a study. Received: {str(folder)!r}")
    begun = files.read_json(path, ("identity",))
    theirs, own = (_flat(each) for each in (begun["identity"], study.identity))
    other_files = network_files.changes(begun.get("files", {}), study.files)
    changes = "; ".join(filter(None, (identity.differences(theirs, own), other_files)))
    if changes:
        raise identity.IdentityMismatchError(folder, changes, "has runs of another kind")


def _flat(values):
    """`{name: value}` of what runs depend on; data are known by their fingerprint, whatever their name."""
    found = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": each for inner, each in value.items()}
        elif name not in _OF_THE_STUDY:
            found[name] = value
    found.pop("dataset.name", None)
    return found


def _take_run(study, source, run):
    target = study.folder_of(run)
    if target.exists() or not (source / run_dir.RESULT).is_file():
        return False
    runner.run_folder(source, run).check_flags()
    target.parent.mkdir(parents=True, exist_ok=True)
    with folders.replacing_folder(target) as part:
        shutil.copytree(source, part, ignore=shutil.ignore_patterns(*_NOT_TAKEN))
    return True
