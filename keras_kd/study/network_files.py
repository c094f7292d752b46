"""The files of networks that runs of a study begin with or are taught by, and what they hold.

network_files.digests(study.runs)
"""

import dataclasses

from keras_kd.distillation import shortcut_removal
from keras_kd.utils import identity, specs


def digests(runs):
    """`{path: digest of the file}` of all networks in files that `design.Run`s take."""
    paths = sorted({path for run in runs for path in paths_of(run)})
    return {path: identity.file_digest(path) for path in paths}


def paths_of(run):
    """The paths that a run names: its own network, its teacher's, what its shortcut removal starts from."""
    begins = [run.student]
    for part in shortcut_removal.parts_of(shortcut_removal.parse_spec(run.shortcut_removal)):
        begins += [getattr(part, field.name) for field in dataclasses.fields(part)]
    own = {path for path in begins if isinstance(path, str) and specs.is_file(path)}
    return own | (paths_of(run.teacher.network) if run.is_taught else set())


def changes(known, now):
    """In one line, which of the files that both know hold something else; empty if none does.

    Args:
      known, now: as of `digests`. What only one of them has is not compared: a study may grow.
    """
    both = known.keys() & now.keys()
    changed = sorted(path for path in both if known[path] != now[path])
    return f"the content of {', '.join(changed)} is another than it was" if changed else ""
