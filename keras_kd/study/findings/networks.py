"""The networks of a study that an analysis compares: residual, plain, plain with the first as teacher; and
plain ones that lost their shortcuts in training."""

import dataclasses
import pathlib

from keras_kd.analysis import inputs
from keras_kd.distillation import recipes
from keras_kd.study import design, run_folders
from keras_kd.study.findings.results import RunRow
from keras_kd.utils import files, run_dir, seeding

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
      removed: the same of the plain networks that lost their shortcuts in training, alone or with this
        teacher: `"plain + KD, fade"`.
    """

    kind: str
    depth: int
    seed: int
    runs: dict
    removed: dict = dataclasses.field(default_factory=dict)


def twin_triplets(rows):
    """One `TwinTriplet` for each plain network of a study whose teacher is its residual twin.

    Args:
      rows: the study's `RunRow`s.

    Returns:
      A list, by depth, width, settings and seed. Controls, and teachers that leave early, are left out.
    """
    done = [row for row in rows if row.is_done]
    usual = [row for row in done if not row.loses_shortcuts and row.loss_text == recipes.KD]
    taught = [row for row in usual if _with_twins(row, usual)]
    order = ("depth", "width", *_SETTINGS, "temperature", "alpha")
    return [
        _triplet(row, usual, done)
        for row in sorted(taught, key=lambda row: [*(row.axes[name] for name in order), row.seed])
    ]


def _triplet(taught, usual, done):
    runs = _with_twins(taught, usual)
    (teacher,) = (row for row in usual if row.run == runs[RESIDUAL])
    kind = ", ".join([_kind(taught.axes), *_starts(taught, teacher)])
    return TwinTriplet(kind, taught.axes["depth"], taught.seed, runs, _removed(taught, done))


def _starts(taught, teacher):
    """In words, what began with weights of its own."""
    own = [row for row in (taught, teacher) if row.initial_weights == seeding.OWN]
    return [f"{'student' if row is taught else 'teacher'} from own initial weights" for row in own]


def _is_alone(row, taught):
    """Whether it is the plain network itself, before its teacher came."""
    return row.axes["variant"] == PLAIN and row.initial_weights == taught.initial_weights


def _with_twins(taught, done):
    """`{label: run}` of a network that its residual twin taught to the end, and the two; None of others."""
    axes = taught.axes
    if axes["variant"] != TAUGHT or axes["teacher_control"] or axes["alpha_epochs"]:
        return None
    teacher = f"{axes['teacher']}-s{taught.seed}"
    twins = {
        row.axes["variant"]: row.run
        for row in done
        if _is_twin(row, taught) and (row.run == teacher or _is_alone(row, taught))
    }
    runs = {**twins, TAUGHT: taught.run}
    return {label: runs[label] for label in LABELS} if {RESIDUAL, PLAIN} <= set(twins) else None


def _is_twin(row, other):
    same = ("depth", "width", *_SETTINGS)
    return row.seed == other.seed and all(row.axes[name] == other.axes[name] for name in same)


def _removed(taught, done):
    """`{label: run}` of twins that lost their shortcuts in training; the taught ones last."""
    same = ("teacher", "teacher_control", *recipes.OF_KD)
    found = {
        f"{row.axes['variant']}, {row.shortcut_removal}": row.run
        for row in done
        if row.loses_shortcuts
        and row.loss_text == recipes.KD
        and _is_twin(row, taught)
        and row.initial_weights == taught.initial_weights
        and (row.axes["variant"] == PLAIN or all(row.axes[name] == taught.axes[name] for name in same))
    }
    return {label: found[label] for label in sorted(found, key=lambda each: (each.startswith(TAUGHT), each))}


def _kind(axes):
    words = [f"depth {axes['depth']}", f"width {axes['width']}"]
    words += [
        f"{name.replace('_', ' ')} {axes[name]}"
        for name in (*_SETTINGS, "temperature", "alpha")
        if axes[name] != getattr(design.Run, name)
    ]
    return ", ".join(words)


def read_groups(folder, depths=(), seeds=(), removals=()):
    """The networks of a run of train, distill or study.

    Args:
      folder: of the run.
      depths, seeds: of a study, as texts or numbers; all if empty.
      removals: of a study, which students that lost their shortcuts in training are compared too: names
        such as "fade", or specs; all if empty, and "none".

    Returns:
      `(result, groups)`: the run's `result.json` and a list of `inputs.NetworkGroup`s.

    Raises:
      ValueError: if there is no finished run, or none of its networks is asked for.
    """
    folder = pathlib.Path(folder)
    result = inputs.read_result(folder)
    if "rows" in result:
        rows = [RunRow.from_json(row) for row in result["rows"]]
        with files.interpreting(folder / run_dir.RESULT):
            named = {each["cell"]: each["title"] for each in result.get("cells", ()) if "title" in each}
        titles = {row.run: named[row.condition] for row in rows if row.condition in named}
        return result, groups_of_study(folder, rows, depths, seeds, removals, titles)
    if depths or seeds or removals:
        raise ValueError(
            f"depths, seeds and shortcut_removals choose among the networks of a study, which {folder} is not"
        )
    return result, [inputs.group_of_run(folder, result)]


def groups_of_study(folder, rows, depths=(), seeds=(), removals=(), titles=None):
    """A group for each `TwinTriplet` that is asked for, at least one for each depth and each seed.

    Args:
      folder, depths, seeds, removals: as for `read_groups`.
      rows: the study's `RunRow`s.
      titles: `{run: its network in words}`.

    Raises:
      ValueError: if there is none of a depth, of a seed, of a way to remove shortcuts, or at all.
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
    return [
        _group(folder, triplet, titles or {}) for triplet in _with_removals(folder, triplets, removals or ())
    ]


def _with_removals(folder, triplets, wanted):
    """The triplets, with those removals alone that are wanted: all if none is named."""
    if not wanted:
        return triplets
    has = {label.partition(", ")[2] for triplet in triplets for label in triplet.removed}
    known = {*has, design.Run.shortcut_removal}
    missing = [each for each in wanted if not any(_is_of(spec, each) for spec in known)]
    if missing:
        there = f"it has {', '.join(sorted(has))}" if has else "it has none that loses shortcuts"
        raise ValueError(f"{folder} has no trained student of shortcut_removal {missing[0]!r}: {there}")
    return [
        dataclasses.replace(
            triplet,
            removed={
                label: run
                for label, run in triplet.removed.items()
                if any(_is_of(label.partition(", ")[2], each) for each in wanted)
            },
        )
        for triplet in triplets
    ]


def _is_of(spec, wanted):
    """Whether a spec is the one that is wanted, or one of that name."""
    return wanted in (spec, spec.partition(":")[0])


def _group(folder, triplet, titles):
    runs = triplet.runs | triplet.removed
    files = {label: run_folders.path(folder, run) / run_dir.MODEL for label, run in runs.items()}
    return inputs.NetworkGroup(
        f"{triplet.kind}, seed {triplet.seed}",
        files,
        triplet.seed,
        triplet.kind,
        pairs=pairs_of(runs),
        twin=RESIDUAL,
        titles={label: titles[run] for label, run in runs.items() if run in titles},
    )


def pairs_of(labels):
    """`[[label, label]]`: which networks of a group sentences compare.

    Args:
      labels: `LABELS`, and those of students that lost their shortcuts in training.
    """
    removed = [label for label in labels if label not in LABELS]
    return [[PLAIN, RESIDUAL], [TAUGHT, PLAIN], *([label, RESIDUAL] for label in removed)]
