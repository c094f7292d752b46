"""An analysis of the networks of a run: one folder, each group once, pages and pictures, the result last.

with claimed(folder, run, settings) as folder:
    groups = analyze_groups(networks, folder, LandscapeResult, analyze)
    write(AnalysisRecord(...), landscape.report.REPORT, folder)
"""

import contextlib
import dataclasses
import pathlib
import re
from typing import Any

import keras

import keras_kd
from keras_kd.analysis import landscape, reuse, work
from keras_kd.analysis.landscape import costs as landscape_costs
from keras_kd.analysis.results import GroupResult
from keras_kd.analysis.reuse import costs as reuse_costs
from keras_kd.analysis.reuse import features, probes
from keras_kd.models import blocks
from keras_kd.reporting import figures, html, tensorboard
from keras_kd.utils import environment, files, identity, run_dir
from keras_kd.utils.records import json_values

# What may be given otherwise when the work is taken up again.
CHANGEABLE = ("depths", "seeds", "run", "dataset", "data_dir")

GROUP = "group.json"


@contextlib.contextmanager
def claimed(folder, run, settings, overwrite=False, name=None):
    """The folder of an analysis, this process's own; work goes on where an earlier process stopped.

    Args:
      folder: for what is found.
      run: folder of the run whose networks are analyzed.
      settings: `{name: text}`: what the analysis is asked to do.
      overwrite: whether this analysis of this run makes room for a new one if it is there already.
      name: of the analysis.

    Raises:
      ValueError: if the folder holds the run itself or something else, was begun with other settings, or
        another process has it.
    """
    folder = pathlib.Path(folder)
    of_run = pathlib.Path(run).resolve()
    if of_run.is_relative_to(folder.resolve()):
        raise ValueError(f"{folder} holds the run that is analyzed: choose another folder")
    same = () if folder.resolve().is_relative_to(of_run) else ("run",)
    own = run_dir.RunDir(folder, settings, CHANGEABLE, command=name, same=same)
    with own.claimed(overwrite):
        yield own.path


def analyze_groups(groups, folder, result_type, analyze):
    """Analyzes each group once: a list of `GroupResult`s.

    Args:
      groups: `NetworkGroup`s.
      folder: gets a folder for each of a study, with its `group.json`.
      result_type: of the analysis.
      analyze: `analyze(group, folder)` returns such a result.

    Raises:
      IdentityMismatchError: if what is there is of other networks.
    """
    return [
        _analyze_once(group, folder_of(folder, group.kind, group.name), result_type, analyze)
        for group in groups
    ]


def folder_of(folder, kind, name):
    """Where what was found about a group is; of a run that is no study there is one group."""
    return folder if kind is None else folder / _slug(name)


def _analyze_once(group, folder, result_type, analyze):
    path = folder / GROUP
    fingerprints = {label: identity.file_digest(file) for label, file in group.files.items()}
    about = {"pairs": group.pairs, "twin": group.twin, "titles": group.titles}
    if path.is_file():
        with files.interpreting(path):
            stored = GroupResult.from_json(files.read_json(path), result_type)
        identity.check_identity(folder, stored.files, fingerprints)
        return dataclasses.replace(stored, **about)  # files of earlier versions do not say it
    keras.backend.clear_session()  # else the graphs of all groups stay in memory
    found = GroupResult(group.name, analyze(group, folder), group.seed, group.kind, fingerprints, **about)
    files.write_json(found.to_json(), path)
    return found


def _slug(name):
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-")


# --------------------------------------------------------------------------- one group


def landscape_of(group, folder, config, source, on_progress):
    """The `LandscapeResult` of one group.

    Args:
      group: a `NetworkGroup`.
      folder: of the group.
      config: a `LandscapeConfig`; its seed is mixed with that of the networks.
      source: an `ExampleSource`.
      on_progress: is called with what is being measured and the share of all that is done; what it raises
        ends the work, with nothing lost but what was under way.
    """
    config = dataclasses.replace(config, seed=group.seed_of_draws(config.seed))
    dataset = source.load_dataset(group.seed)
    networks = group.load()
    trainings = group.trainings(networks, dataset)
    images, labels = source.examples(networks, dataset, config.seed)
    result = landscape.analyze(
        networks,
        images,
        labels,
        config,
        folder,
        training_images=source.training_images(dataset, len(labels), config.seed),
        trainings=trainings,
        on_progress=work.WholeWork(landscape_costs.costs(networks, trainings, config), on_progress),
    )
    if trainings:
        return result
    return dataclasses.replace(result, left_out=[*result.left_out, _NO_TRAINING[group.kind is None]])


_NO_TRAINING = {
    True: "the trajectory of each training and its curvature: no snapshots were kept",
    False: "the trajectory of each training and its curvature: a study stores no snapshots, train and "
    "distill do",
}


def reuse_of(group, folder, config, source, on_progress):
    """The `ReuseResult` of one group; arguments as for `landscape_of`, with a `ReuseConfig`."""
    config = dataclasses.replace(config, seed=group.seed_of_draws(config.seed))
    dataset = source.load_dataset(group.seed)
    networks = group.load()
    images, labels = source.examples(networks, dataset, config.seed)
    trainings = group.trainings(networks, dataset)
    layers = {
        label: blocks.layers_of(network, reuse.layers_compared(network, config.layers))
        for label, network in networks.items()
    }
    shown = work.WholeWork(reuse_costs.costs(networks, trainings, config, layers), on_progress)
    return reuse.analyze(
        networks, dataset, images, labels, config, folder, trainings=trainings, on_progress=shown
    )


# --------------------------------------------------------------------------- before anything is written


def check_landscape(groups, source, config):
    """Raises a ValueError for a dataset that is not that of the networks."""
    source.load_dataset(groups[0].seed)


def check_reuse(groups, source, config):
    """Raises a ValueError for data or layers that are not possible.

    Args:
      groups: `NetworkGroup`s.
      source: an `ExampleSource`.
      config: a `ReuseConfig`.
    """
    for group in {group.seed: group for group in groups}.values():
        _check_data(source.load_dataset(group.seed), source.split, config, group.seed_of_draws(config.seed))
    for network in groups[0].load().values():
        blocks.layers_of(network, reuse.layers_compared(network, config.layers))


def _check_data(dataset, split, config, seed):
    count = len(getattr(dataset, split).labels)
    if count < features.FEWEST_EXAMPLES:
        raise ValueError(
            f"CKA needs at least {features.FEWEST_EXAMPLES} images. Received: split {split!r} with {count}; "
            f"take the other split"
        )
    if config.probe_examples:
        try:
            probes.probe_examples(dataset, config.probe_examples, seed)
        except ValueError as error:
            raise ValueError(f"probe_examples={config.probe_examples}: {error}, or 0 for none") from error


# --------------------------------------------------------------------------- what is written


@dataclasses.dataclass(frozen=True)
class AnalysisRecord:
    """What an analysis's `result.json` says.

    Attributes:
      command: that repeats it.
      run: folder of the run.
      dataset: name of it.
      split: of the examples.
      versions: `{package: version}`.
      groups: `GroupResult`s.
      summary: of a study over its seeds, with `to_json`; else None.
    """

    command: str
    run: str
    dataset: str
    split: str
    versions: dict
    groups: list
    summary: Any = None

    def to_json(self):
        return json_values(self) | {
            "groups": [group.to_json() for group in self.groups],
            "summary": self.summary and self.summary.to_json(),
        }


def versions():
    """`{package: version}` of what an analysis computes with."""
    packages = (keras.backend.backend(), "keras", "numpy", "scipy", "scikit-learn", "plotly")
    return {"keras_kd": keras_kd.__version__, **environment.versions(*packages)}


def write(record, report, folder, study_sections=None, study_answer=None):
    """Writes pictures and pages, and the result last.

    Args:
      record: an `AnalysisRecord`.
      report: the `AnalysisReport` of the analysis.
      folder: of it.
      study_sections: of the page over a study's groups; None of other runs, whose group has that page.
      study_answer: the `answers.Answer` that this page opens with.
    """
    for group in record.groups:
        own = folder_of(folder, group.kind, group.name)
        for picture, figure in report.pictures(group).items():
            figures.write_png(figure, own / "pictures" / f"{picture}.png")
            tensorboard.write_picture(own, f"{report.name}/{picture}", figure)
        title, answer = f"{report.title}: {group.name}", report.answer([group])
        shown = report.page_sections(group)
        _write_page(own / f"{report.name}.html", record, [group], title, answer, shown)
    if study_sections is not None:
        title = f"{report.title}: {pathlib.Path(record.run).name}"
        path = folder / f"{report.name}.html"
        _write_page(path, record, record.groups, title, study_answer, study_sections)
    files.write_json(record.to_json(), folder / run_dir.RESULT)


def _write_page(path, record, groups, title, answer, sections):
    titles = {
        f"{label} ({group.kind})" if group.kind else label: words
        for group in groups
        for label, words in group.titles.items()
    }
    facts = {
        "run": record.run,
        "networks": "; ".join(f"{label}: {words}" for label, words in titles.items()),
        "data": f"{record.dataset}, {record.split}",
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
    }
    facts = {name: text for name, text in facts.items() if text}
    about = f"Networks of {record.run}, analyzed with images of {record.dataset} ({record.split})."
    html.write(
        "view.html",
        path,
        title=title,
        answer=answer.sentences,
        lead=" ".join(answer.basis) or about,
        sections=sections,
        command=record.command,
        facts=facts,
    )
