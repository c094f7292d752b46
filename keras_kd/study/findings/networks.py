"""The networks of a study that an analysis compares: residual, plain, and plain with the first as teacher."""

import dataclasses
import pathlib

from keras_kd.analysis import inputs
from keras_kd.study import design
from keras_kd.study.findings.results import RunRow
from keras_kd.utils import files, run_dir

RESIDUAL, PLAIN, TAUGHT = LABELS = ("residual", "plain", "plain + KD")


# What twins share, and what is said of them where it is not a run's default.
_SETTINGS = ("dropout", "weight_decay", "augmentation", "label_fraction")


@dataclasses.dataclass(frozen=True)
class TwinTriplet:
    """A residual network, its plain twin, and the one whose teacher is the first.

    Attributes:
      kind: what triplets of other seeds share, in words.
      depth, seed: of all three.
      runs: `{label: name of the run}`, one for each of `LABELS`.
    """

    kind: str
    depth: int
    seed: int
    runs: dict


def twin_triplets(rows):
    """One `TwinTriplet` for each plain network of a study whose teacher is its residual twin.

    Args:
      rows: the study's `RunRow`s.

    Returns:
      A list, by depth, width, settings and seed. Controls, teachers that leave early, and students that
      lose their shortcuts in training are left out.
    """
    done = [row for row in rows if row.is_done and row.axes.get("shortcut_removal", "none") == "none"]
    taught = [row for row in done if _with_twins(row, done)]
    order = ("depth", "width", *_SETTINGS, "temperature", "alpha")
    return [
        TwinTriplet(_kind(row.axes), row.axes["depth"], row.seed, _with_twins(row, done))
        for row in sorted(taught, key=lambda row: [*(row.axes[name] for name in order), row.seed])
    ]


def _with_twins(taught, done):
    """`{label: run}` of a network that its residual twin taught to the end, and the two; None of others."""
    axes = taught.axes
    if axes["variant"] != TAUGHT or axes["teacher_control"] or axes["alpha_epochs"]:
        return None
    same = ("depth", "width", *_SETTINGS)
    twins = {
        row.axes["variant"]: row.run
        for row in done
        if row.axes["variant"] in (RESIDUAL, PLAIN)
        and row.seed == taught.seed
        and all(row.axes[name] == axes[name] for name in same)
    }
    by_twin = twins.get(RESIDUAL) == f"{axes['teacher']}-s{taught.seed}"
    return {**twins, TAUGHT: taught.run} if by_twin and PLAIN in twins else None


def _kind(axes):
    words = [f"depth {axes['depth']}", f"width {axes['width']}"]
    words += [
        f"{name.replace('_', ' ')} {axes[name]}"
        for name in (*_SETTINGS, "temperature", "alpha")
        if axes[name] != getattr(design.Run, name)
    ]
    return ", ".join(words)


def read_groups(folder, depths=(), seeds=()):
    """The networks of a run of train, distill or study.

    Args:
      folder: of the run.
      depths, seeds: of a study, as texts or numbers; all if empty.

    Returns:
      `(result, groups)`: the run's `result.json` and a list of `inputs.NetworkGroup`s.

    Raises:
      ValueError: if there is no finished run, or none of its networks is asked for.
    """
    folder = pathlib.Path(folder)
    result = inputs.read_result(folder)
    if "rows" in result:
        rows = [RunRow.from_json(row) for row in result["rows"]]
        return result, groups_of_study(folder, rows, depths, seeds)
    if depths or seeds:
        raise ValueError(f"depths and seeds choose among the networks of a study, which {folder} is not")
    return result, [inputs.group_of_run(folder, result)]


def groups_of_study(folder, rows, depths=(), seeds=()):
    """A group for each `TwinTriplet` that is asked for, at least one for each depth and each seed.

    Raises:
      ValueError: if there is none of a depth, of a seed, or at all.
    """
    wanted = {"depth": [str(depth) for depth in depths or ()], "seed": [str(seed) for seed in seeds or ()]}
    with files.interpreting(folder / run_dir.RESULT):
        found = twin_triplets(rows)
    triplets = [
        triplet
        for triplet in found
        if all(not values or str(getattr(triplet, name)) in values for name, values in wanted.items())
    ]
    missing = [
        f"{name} {value}"
        for name, values in wanted.items()
        for value in values
        if value not in {str(getattr(triplet, name)) for triplet in triplets}
    ]
    if missing or not triplets:
        of_what = f" of {' or '.join(missing)}" if missing else ""
        raise ValueError(
            f"{folder} has no residual network{of_what} with its plain twin and the plain one that it is the "
            f"teacher of, all trained"
        )
    return [_group(folder, triplet) for triplet in triplets]


def _group(folder, triplet):
    files = {label: folder / "runs" / run / run_dir.MODEL for label, run in triplet.runs.items()}
    return inputs.NetworkGroup(f"{triplet.kind}, seed {triplet.seed}", files, {}, triplet.seed, triplet.kind)
