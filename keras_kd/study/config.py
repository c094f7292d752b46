"""Study files: YAML that says which runs a study has, read with the line of every mistake.

    study = config.read_config("depth.yaml")

A file names a `question` and its `claims`, a `dataset`, `seeds` (how many, or which), the `recipe`
(fields of `training.Settings`), the `teachers` by name, and the `runs`: a list of entries, each of which
stands for all combinations of the values it gives its axes (`design.AXES`, and `teacher`). `network` gives
axes a value where an entry does not. A teacher is described by the same axes; its depth and width are its
student's if not given, and `control` replaces its logits (see `design.Teacher`). The axis
`student` names a network by its spec in place of depth, width and variant; `teacher` may be a spec too,
or the path of a `.keras` file, in place of a name.
"""

import contextlib
import dataclasses
import itertools
import math
import pathlib
import re
from typing import ClassVar

import yaml

from keras_kd.data import datasets
from keras_kd.study import design, run_folders
from keras_kd.study.findings.claims import CLAIMS
from keras_kd.training import config
from keras_kd.utils import limits, seeding, specs

# What a run takes from the recipe and each run's seed, not from `recipe`.
_OF_RUNS = {"seed", "weight_decay", "augmentation"}

_OF_TAUGHT_TEACHERS = {"teacher", "loss", "temperature", "alpha"}
_TEACHER_AXES = {
    "depth",
    "variant",
    "width",
    "dropout",
    "weight_decay",
    "augmentation",
    "label_fraction",
    "student",
    "initial_weights",
}

# What a teacher takes from `network`; where a student begins says nothing of where its teacher does.
_INHERITED = {*_TEACHER_AXES, "seed"} - {"initial_weights"}


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """What a study file says.

    Attributes:
      name: of the file.
      question: in plain words.
      claims: names of `claims.CLAIMS`.
      dataset: for `datasets.load`.
      settings: a `config.Settings`.
      seeds: whole numbers.
      runs: `design.Run`s, teachers included, seed by seed, each once.
      margin: a difference in accuracy that counts as none.
      effect: the difference in accuracy that the study should be able to find.
      default_batch: whether nobody said a batch size, so that a small dataset may have a smaller one.
    """

    name: str
    question: str
    claims: tuple
    dataset: str
    settings: config.Settings
    seeds: tuple
    runs: tuple
    margin: float = 0.01
    effect: float = 0.01
    default_batch: bool = False


def read_config(path, *, dataset=None, seeds=None, depths=None, network=None, recipe=None):
    """Reads a study file; nothing is trained and no data are loaded.

    Args:
      path: of the file.
      dataset, seeds: stand in for the file's.
      depths: of the networks that are left of the file's, with the teachers they need; None: all.
      network: `{axis: value}`, stands in for what the file says in `network`, as far as it goes.
      recipe: `{name: value}`: stands in for what the file says in `recipe`, as far as it goes.

    Returns:
      A `StudyConfig`.

    Raises:
      FileNotFoundError: if there is none.
      ValueError: for whatever is wrong with it, beginning with PATH:LINE.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no study file {str(path)!r}")
    document = _Document(path)
    top = document.mapping(document.root, _TOP)
    for needed in _NEEDED:
        if needed not in top:
            raise document.error(document.root, f"{needed!r} is missing")
    settings = document.settings(top.get("recipe"), recipe or {})
    named = {*(recipe or {}), *(document.mapping(top["recipe"], None) if "recipe" in top else ())}
    defaults = document.axes(top.get("network"), {*design.AXES} - {"student"}) | (network or {})
    seeds = seeds or document.seeds(top["seeds"])
    runs = _of_depths(path, document.runs(top, defaults, settings, seeds), depths)
    numbers = {name: document.number(top[name]) for name in ("margin", "effect") if name in top}
    return StudyConfig(
        path.stem,
        " ".join(document.text(top["question"]).split()),
        document.claims(top["claims"]),
        dataset or (document.text(top["dataset"]) if "dataset" in top else datasets.DEFAULT),
        settings,
        tuple(seeds),
        runs,
        default_batch="batch_size" not in named,
        **numbers,
    )


def _of_depths(path, runs, depths):
    if not depths:
        return runs
    known = sorted({run.depth for run in runs} - {None})
    unknown = [depth for depth in depths if depth not in known]
    if unknown:
        listed = ", ".join(map(str, known)) or "none"
        raise ValueError(f"{path}: depths must be some of the study's: {listed}. Received: {unknown[0]}")
    chosen = [run for run in runs if run.depth in depths]
    left = {*chosen, *(each for run in chosen for each in run.needs_all)}
    return tuple(run for run in runs if run in left)


def _with_defaults(given, defaults):
    """The axes of a run; what a spec says is not taken from defaults.

    Raises:
      ValueError: if it is given beside the spec.
    """
    if "student" not in given:
        return defaults | given
    twice = [name for name in design.SIZES if name in given]
    if twice:
        raise ValueError(f"student={given['student']!r} says which network it is: leave {twice[0]} out")
    variant = design.SPECIFIED + (design.KD if "teacher" in given else "")
    usual = {name: value for name, value in defaults.items() if name not in design.SIZES}
    return usual | {"variant": variant} | given


_TOP = {
    "question",
    "claims",
    "dataset",
    "seeds",
    "recipe",
    "network",
    "teachers",
    "runs",
    "margin",
    "effect",
}


_NEEDED = ("question", "claims", "seeds", "runs")


_INTEGER, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"


class _Loader(yaml.SafeLoader):
    """Numbers are those of YAML 1.2: 1e-4 is one, 1:30 is none (yaml's own takes it for 90)."""

    yaml_implicit_resolvers: ClassVar[dict] = {
        first: [(tag, pattern) for tag, pattern in found if tag not in (_INTEGER, _FLOAT)]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_INTEGER, re.compile(r"[-+]?(0|[1-9][0-9]*)$"), "-+0123456789")
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
    ),
    "-+.0123456789",
)


class _Document:
    """A YAML file as nodes, which know their lines."""

    def __init__(self, path):
        self._path = path
        try:
            self._loader = _Loader(path.read_text(encoding="utf-8"))
            self.root = self._loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ValueError(f"{path}:{line}: is no YAML ({error.problem})") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}:1: is no YAML text ({str(error).splitlines()[0]})") from error
        except RecursionError as error:
            raise ValueError(f"{path}:1: is nested too deep for a study file") from error
        if self.root is None:
            raise ValueError(f"{path}:1: is empty")

    def error(self, node, message):
        """A ValueError that names the node's line."""
        return ValueError(f"{self._path}:{node.start_mark.line + 1}: {message}")

    @contextlib.contextmanager
    def at(self, node):
        """Gives what goes wrong inside the node's line."""
        try:
            yield
        except yaml.MarkedYAMLError as error:
            raise self.error(node, error.problem) from error
        except (ValueError, TypeError) as error:
            if str(error).startswith(f"{self._path}:"):
                raise
            raise self.error(node, error) from error

    def value(self, node):
        with self.at(node):
            return self._loader.construct_object(node, deep=True)

    def text(self, node):
        value = self.value(node)
        if not isinstance(value, str) or not value.strip():
            raise self.error(node, f"a word is needed here. Received: {limits.shown(value)}")
        return value

    def mapping(self, node, allowed, kind="entry"):
        """`{name: node}`; every name must be one of `allowed`, if that is given, and stand there once."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(
                node, f"names with values are needed here. Received: {limits.shown(self.value(node))}"
            )
        found = {}
        for key, value in node.value:
            name = self.text(key)
            if allowed is not None and name not in allowed:
                raise self.error(key, f"unknown {kind} {name!r}: use one of {', '.join(sorted(allowed))}")
            if name in found:
                raise self.error(key, f"{name!r} stands here twice")
            found[name] = value
        return found

    def list(self, node, name):
        """The nodes of a list, which must not be empty; of anything else, itself alone."""
        if not isinstance(node, yaml.SequenceNode):
            return [node]
        if not node.value:
            leave_out = "" if name in _NEEDED else ", or leave it out"
            raise self.error(node, f"{name} is empty: give it a value{leave_out}")
        return node.value

    def number(self, node):
        value = self.value(node)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < 1:
            raise self.error(
                node, f"a share of accuracy between 0 and 1 is needed. Received: {limits.shown(value)}"
            )
        return float(value)

    def seeds(self, node):
        values = [self.value(item) for item in self.list(node, "seeds")]
        if not isinstance(node, yaml.SequenceNode):
            (count,) = values
            with self.at(node):
                values = seeding.numbers("seeds", count)
        for value in values:
            with self.at(node):
                design.AXES["seed"]("each of the seeds", value)
        with self.at(node):
            limits.SEEDS.check("the number of seeds", len(values))
            limits.check_each_once("seeds", values)
        return values

    def claims(self, node):
        names = [self.text(item) for item in self.list(node, "claims")]
        for name in names:
            if name not in CLAIMS:
                raise self.error(node, f"unknown claim {name!r}: use of {', '.join(CLAIMS)}")
            if names.count(name) > 1:
                raise self.error(node, f"the claim {name!r} stands here twice")
        return tuple(names)

    def settings(self, node, given):
        known = {field.name for field in dataclasses.fields(config.Settings)} - _OF_RUNS
        found = self.mapping(node, known, "setting") if node is not None else {}
        for name, value in found.items():
            with self.at(value):  # alone, for its own line
                config.check_setting(name, self.value(value))
        values = {name: self.value(value) for name, value in found.items()} | given
        with self.at(node or self.root):
            settings = config.Settings(**values)
            if settings.strategy == "multiworker":
                raise ValueError("a study's runs have one host each: strategy='multiworker' is not possible")
        return settings

    def axes(self, node, allowed):
        """`{axis: value}` of an entry in which each axis has one value."""
        found = self.mapping(node, allowed, "axis") if node is not None else {}
        return {name: self._checked(name, value) for name, value in found.items()}

    def _checked(self, name, node):
        value = self.text(node) if name == "teacher" else self.value(node)
        if name in design.AXES:
            with self.at(node):
                design.AXES[name](name, value)
        return value

    def runs(self, top, defaults, settings, seeds):
        teachers = self._teachers(top.get("teachers"))
        self._check_count(top["runs"], len(seeds))
        found = {}
        for seed in seeds:
            for entry in self.list(top["runs"], "runs"):
                axes = self.mapping(entry, {*design.AXES, "teacher"} - {"seed"}, "axis")
                if not {"depth", "student"} & {*axes, *defaults}:
                    raise self.error(entry, "depth is missing")
                for run in self._combined(entry, axes, defaults | {"seed": seed}, teachers):
                    self._check_stay(entry, run, settings)
                    found |= dict.fromkeys([*run.needs_all, run])
        with self.at(top["runs"]):
            run_folders.check(found)
        return tuple(found)

    def _check_count(self, node, seeds):
        """Raises an error for more runs than a study has, before any is made."""
        count = 0
        for entry in self.list(node, "runs"):
            axes = self.mapping(entry, None)
            count += seeds * math.prod(len(self.list(axis, name)) for name, axis in axes.items())
        if count > limits.RUNS:
            raise self.error(node, f"a study has {limits.RUNS} runs at the most. Received: {count}")

    def _teachers(self, node):
        """`{name: (node, {axis: value})}`."""
        if node is None:
            return {}
        return {
            name: (value, self.axes(value, {*_TEACHER_AXES, *_OF_TAUGHT_TEACHERS, "control"}))
            for name, value in self.mapping(node, None).items()
        }

    def _combined(self, entry, axes, defaults, teachers):
        values = {
            name: [(item, self._checked(name, item)) for item in self.list(node, name)]
            for name, node in axes.items()
        }
        for chosen in itertools.product(*values.values()):
            given = {name: value for name, (_, value) in zip(values, chosen, strict=True)}
            nodes = {name: item for name, (item, _) in zip(values, chosen, strict=True)}
            with self.at(entry):
                given = _with_defaults(given, defaults)
                if "teacher" in given:
                    given["teacher"] = self._teacher(
                        nodes["teacher"], given["teacher"], teachers, given, defaults
                    )
                run = design.Run(**given)
            yield run

    def _teacher(self, node, name, teachers, student, defaults, students=()):
        """The `design.Teacher` of a name; `students` are the names of those that it teaches in turn."""
        if name not in teachers and (":" in name or specs.is_file(name)):
            with self.at(node):
                design.AXES["student"]("student", name)
            teachers = teachers | {name: (node, {"student": name})}
        if name not in teachers:
            known = ", ".join(map(str, teachers)) or "none"
            raise self.error(node, f"no run trains the teacher {name!r}: the teachers are {known}")
        if name in students:
            raise self.error(node, f"the teacher {name!r} would be taught by itself: {' by '.join(students)}")
        described, own = teachers[name]
        sizes = () if "student" in own else ("depth", "width")
        inherited = {axis: student[axis] for axis in sizes if axis in student}
        base = {axis: value for axis, value in defaults.items() if axis in _INHERITED}
        axes = {axis: value for axis, value in own.items() if axis != "control"}
        if "teacher" in own:
            chain = (*students, name)
            taught = inherited | own
            axes["teacher"] = self._teacher(described, own["teacher"], teachers, taught, defaults, chain)
        with self.at(described):
            network = design.Run(**_with_defaults(axes, base | {"variant": "residual"} | inherited))
            return design.Teacher(network, own.get("control"))

    def _check_stay(self, entry, run, settings):
        if run.alpha_epochs >= settings.epochs:
            raise self.error(
                entry,
                f"alpha_epochs must be below the {settings.epochs} epochs of a run, or 0: the teacher stays. "
                f"Received: {run.alpha_epochs}",
            )
