"""What the scripts that look inside networks share: a folder for what they find, over groups and seeds."""

import contextlib
import hashlib
import importlib.metadata
import json
import pathlib
import re
import shlex
import sys

import keras
from absl import flags

import keras_kd
from experiments import console, networks
from keras_kd.reporting import figures, html, tensorboard
from keras_kd.study.findings import networks as networks_module
from keras_kd.study.findings import report as study_report
from keras_kd.study.findings.networks import (
    VIEWS,
    of_study,
    sections,
    sections_of_group,
    summarise,
    table_of_group,
)
from keras_kd.utils import backend, files, run_dir

OUT = flags.DEFINE_string("out", None, "Folder for what is found; in --run's if not given.")
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Whether to delete what is there already.")

# What may be given otherwise when the work is taken up again.
CHANGEABLE = ("depths", "seeds", "run", "dataset", "data_dir")


@contextlib.contextmanager
def opened(name):
    """The folder for what is found, this process's own; it goes on where an earlier one stopped.

    Raises:
      ValueError: if it holds the run itself, was begun with other flags, or another process has it.
    """
    run = pathlib.Path(networks.RUN.value)
    path = pathlib.Path(OUT.value or run / name)
    if run.resolve().is_relative_to(path.resolve()):
        raise ValueError(f"--out={path} holds the run that is looked at: choose another folder")
    folder = run_dir.RunDir(path, console.flags_of_script(), CHANGEABLE)
    with folder.claimed(OVERWRITE.value):
        yield folder.path


def each(groups, folder, look):
    """Looks at each group once: `[{"name": ..., **found}]`.

    Args:
      groups: of `networks.read`.
      folder: gets a folder for each of a study, with its `group.json`.
      look: `look(group, folder)` returns what it found, as plain values.

    Raises:
      ValueError: if what is there is of other networks.
    """
    return [_look_once(group, folder_of(folder, group.kind, group.name), look) for group in groups]


def folder_of(folder, kind, name):
    """Where what was found about a group is; of a run that is no study there is one group."""
    return folder if kind is None else folder / _slug(name)


def _look_once(group, folder, look):
    path = folder / "group.json"
    seen = {label: _digest(file) for label, file in group.files.items()}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["files"] != seen:
            raise ValueError(
                f"{folder} was made with other networks than {networks.RUN.value} holds now: choose another "
                f"--out, or pass --overwrite to start anew"
            )
        return found
    keras.backend.clear_session()  # else the graphs of all groups stay in memory
    about = {"name": group.name, "kind": group.kind, "seed": group.seed, "files": seen}
    found = about | look(group, folder)
    files.write_json(found, path)
    return found


def _digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:16]


def _slug(name):
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-")


# --------------------------------------------------------------------------- what is written


def finish(folder, name, result, groups):
    """Writes pictures, pages and last the result, renews a study's page, and prints the numbers and paths.

    Args:
      folder: of what was found.
      name: of the script and its view.
      result: of the run.
      groups: of `each`.
    """
    view = VIEWS[name]
    is_study = groups[0]["kind"] is not None
    compared = [measure for measure in view.TITLES if not measure.endswith(("_error", "holes"))]
    summary = summarise(groups, compared) if is_study else None
    found = describe(name, result, groups, summary)
    for group in groups:
        _write_group(folder, name, found, group)
    if is_study:
        title = f"{view.TITLE}: {found['run']}"
        _write_page(folder / f"{name}.html", title, found, sections(found, name))
    files.write_json(found, folder / "result.json")
    print_numbers(found, view.TITLES)
    has_tensorboard = backend.has_tensorflow()
    console.print_paths(
        page=folder / f"{name}.html",
        **({"report": renew_report(found)} if is_study else {}),
        pictures=folder_of(folder, groups[0]["kind"], groups[0]["name"]) / "pictures",
        tensorboard=folder / "tensorboard" if has_tensorboard else "only where TensorFlow is installed",
        result=folder / "result.json",
    )


def _write_group(folder, name, found, group):
    view = VIEWS[name]
    own = folder_of(folder, group["kind"], group["name"])
    for picture, figure in view.pictures(group).items():
        figures.write_png(figure, own / "pictures" / f"{picture}.png")
        logs = folder / "tensorboard" / _slug(group["name"])
        tensorboard.write_picture(logs, f"{name}/{picture}", figure)
    sections = sections_of_group(group, name)
    _write_page(own / f"{name}.html", f"{view.TITLE}: {group['name']}", found, sections)


def describe(name, result, groups, summary):
    """What the script's `result.json` says."""
    packages = (keras.backend.backend(), "keras", "numpy", "scipy", "scikit-learn", "plotly")
    return {
        "command": shlex.join(["python", "-m", f"experiments.{name}", *sys.argv[1:]]),
        "run": networks.RUN.value,
        "dataset": result["dataset"]["name"],
        "split": networks.SPLIT.value,
        "versions": {
            "keras_kd": keras_kd.__version__,
            **{package: importlib.metadata.version(package) for package in packages},
        },
        "groups": groups,
        "summary": summary,
    }


def _write_page(path, title, found, sections):
    facts = {
        "networks": found["run"],
        "data": f"{found['dataset']}, {found['split']}",
        "versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
    }
    lead = f"Networks of {found['run']}, looked at with images of {found['dataset']} ({found['split']})."
    html.write(
        "view.html", path, title=title, lead=lead, sections=sections, command=found["command"], facts=facts
    )


def print_numbers(found, titles):
    """The numbers of a run's networks; of a study's over its seeds."""
    tables = [(group["name"], *table_of_group(group, titles)) for group in found["groups"]]
    if found["summary"]:
        tables = [table[1:] for table in networks_module.tables(found["summary"], titles)]
    for title, columns, rows in tables:
        console.print_table(title, [dict(zip(columns, row, strict=True)) for row in rows], columns)


def renew_report(found):
    """Writes a study's page again, with what was found inside its networks; returns its path."""
    folder = pathlib.Path(found["run"])
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    study_report.write(result, folder / "report.html", sections=of_study(folder))
    return folder / "report.html"
