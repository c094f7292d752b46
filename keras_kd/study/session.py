"""A study from its file to its page: begun, trained as far as it is not, judged, written."""

import difflib
import importlib.metadata
import importlib.resources
import pathlib

from keras_kd.data import datasets
from keras_kd.reporting import figures, notes, tensorboard
from keras_kd.study import config, design, network_files, origin, runner, table, taken_runs, worker
from keras_kd.study.findings import analyses, charts, naming, replication, summary
from keras_kd.study.findings import report as study_report
from keras_kd.study.findings.results import StudyResult
from keras_kd.training import description
from keras_kd.utils import files, progress, run_dir, seeding

PAGE = study_report.PAGE


def shipped_studies():
    """`{name: path}` of the study files that come with the package."""
    folder = pathlib.Path(str(importlib.resources.files("keras_kd.study") / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def study_file(study):
    """The path of a study file.

    Args:
      study: the name of one that comes with the package, or a path that ends in .yaml.

    Raises:
      ValueError: for an unknown name.
    """
    if study.endswith((".yaml", ".yml")):
        return pathlib.Path(study)
    shipped = shipped_studies()
    if study not in shipped:
        near = difflib.get_close_matches(study, shipped, 1)
        raise ValueError(
            f"a study must be one of {', '.join(shipped)}, or a path ending in .yaml. Received: {study!r}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return shipped[study]


class StudySession:
    """One study in its folder.

    Args:
      study: a `config.StudyConfig`.
      folder: of the study.
      first: the `StudyResult` of the same study with other seeds, which this one repeats, or None.
      threads: of TensorFlow in each run, for one operation: other numbers round otherwise.
      data_dir, validation_fraction: as for `keras_kd.data.load`.
      **data_options: `cache`, `cache_dir` and `skip_bad_images` of `keras_kd.data.load`.
      split_seed: which part of train is validation, for all runs.

    Raises:
      ValueError: if the data or the recipe do not fit some of the runs, or this is no repetition of `first`.
    """

    def __init__(
        self,
        study,
        folder,
        *,
        first=None,
        threads=1,
        data_dir=None,
        validation_fraction=0.1,
        split_seed=0,
        **data_options,
    ):
        self.study = study
        self._first = first
        self._threads = threads
        self._trainer = worker.RunTrainer(
            datasets.absolute_name(study.dataset),
            study.settings,
            data_dir and _absolute(data_dir),
            validation_fraction,
            split_seed,
            **data_options,
        )
        if study.default_batch:
            self._trainer = self._trainer.with_fitting_batch(study.runs)
        self._trainer.check(study.runs)
        self._dataset = self._trainer.load()
        self._described = description.describe(self._dataset, self._trainer.settings)
        self._described["dataset"]["name"] = study.dataset
        self._described.pop("bad_images", None)  # each run meets its own
        if first:
            plan = replication.StudyPlan.of_config(study, self._described)
            replication.check(replication.StudyPlan.of_result(first), plan)
        found = network_files.digests(study.runs)
        self._runner = runner.Study(folder, study.runs, self._identity(), found)

    def _identity(self):
        """What all runs of a study share; another one is refused."""
        settings = self._described["settings"]
        return {
            "dataset": self._described["dataset"],
            "settings": {name: value for name, value in settings.items() if name not in design.AXES},
            "validation_fraction": self._trainer.validation_fraction,
            "versions": dict(self._described["versions"]),
            "threads": self._threads,
            "margin": self.study.margin,
            "claims": self.study.claims,
        }

    def take_runs(self, folders):
        """Takes over what other studies trained already; see `taken_runs.take`.

        Args:
          folders: of these studies, which had the same data, recipe, versions and threads.
        """
        self._runner.begin()
        for folder in folders:
            taken = taken_runs.take(self._runner, folder)
            progress.say(f"{len(taken)} of {len(self.study.runs)} runs are taken from {folder}")

    def run(self, executor, *, command, retry_failed=False, progress=lambda state: None):
        """Trains what is not there yet, judges the claims, writes table, pictures, page and result.

        The table grows run by run; the rest is written when all have ended.

        Args:
          executor: a `utils.processes.ProcessExecutor` or `executors.RayExecutor`.
          command: what was typed, for the page.
          retry_failed: whether to try again what failed before.
          progress: is called about once a second with a `runner.Progress`.

        Returns:
          `(result, records)`: the `StudyResult`, and `{Run: RunRecord}`.
        """
        grew = self._runner.begin()

        def watch(state):
            if state.ended:
                ended = {run: state.records[run] for run in self.study.runs if run in state.records}
                shared = origin.columns(self._described)
                summary.write_csv(summary.rows(ended), self._runner.folder / table.RESULTS, shared)
            progress(state)

        with executor:
            records = self._runner.run(self._trainer, executor, retry_failed=retry_failed, watch=watch)
        judged = summary.summarize(
            records,
            self.study.claims,
            margin=self.study.margin,
            test_examples=len(self._dataset.test.labels),
        )
        result = replication.with_first(self._result(command, grew, judged, records), self._first)
        write(self._runner.folder, result)
        return result, records

    def _result(self, command, grew, judged, records):
        packages = {name: importlib.metadata.version(name) for name in ("scipy", "plotly", "rich")}
        names = description.names(self.study.dataset, self._trainer.dataset)
        about = {
            "dataset": self._described["dataset"] | names,
            "versions": self._described["versions"] | packages,
        }
        noted = [
            (naming.title_with_seed(run), record.result.notes)
            for run, record in records.items()
            if record.result
        ]
        return StudyResult(
            study=self.study.name,
            question=self.study.question,
            claims=self.study.claims,
            command=command,
            seeds=self.study.seeds,
            margin=self.study.margin,
            description=self._described | about,
            summary=judged,
            grew=grew,
            notes=notes.grouped(noted),
        )


def read_result(path):
    """The `StudyResult` in the folder of a study that has ended.

    Raises:
      ValueError: if there is none.
    """
    path = pathlib.Path(path) / run_dir.RESULT
    if not path.is_file():
        raise ValueError(f"{path.parent} holds no study that has ended: there is no {path.name}")
    with files.interpreting(path):
        return StudyResult.from_json(files.read_json(path))


def _absolute(path):
    """A path as other processes find it."""
    return str(pathlib.Path(path).absolute())


def write(folder, result):
    """Writes the table, the pictures, the page, and last the result."""
    summary.write_csv(result.summary.rows, folder / table.RESULTS, origin.columns(result.description))
    with study_report.alone(folder):
        for name, figure in draw(folder, result).items():
            tensorboard.write_picture(folder, name, figure)
        files.write_json(result.to_json(), folder / run_dir.RESULT)


def draw(folder, result, planned=None):
    """Writes the pictures and the page of a result; `{name: matplotlib figure}` of the pictures.

    Args:
      folder: where they are written.
      result: a `StudyResult`.
      planned: how many runs the study has, where some may not be there yet.
    """
    drawn = charts.pictures(result.summary)
    for name, figure in drawn.items():
        figures.write_png(figure, folder / "pictures" / f"{name}.png")
    study_report.write(result, folder / PAGE, sections=analyses.sections_of_study(folder), planned=planned)
    return drawn


def given_recipe(present):
    """The fields of `training.Settings` that stand in for a study file's recipe.

    Args:
      present: `{name: value}` of those that were given.

    Raises:
      ValueError: for one that belongs to each run.
    """
    of_runs = [name for name in present if name in design.AXES]
    if of_runs:
        raise ValueError(f"{of_runs[0]} belongs to each run: give it as an axis in the study file")
    return present


def read(study, *, dataset=None, seeds=None, depths=None, width=0, recipe=None):
    """The `config.StudyConfig` of a study file, with stand-ins for parts of it; see `config.read_config`.

    `seeds` are a list of them, or as `seeding.numbers` reads them; None or 0: as the file says.
    """
    if not isinstance(seeds, list):
        seeds = None if seeds in (None, 0, "0") else seeding.numbers("seeds", seeds)
    return config.read_config(
        study_file(study),
        dataset=dataset,
        seeds=seeds,
        depths=depths,
        network={"width": width} if width else None,
        recipe=given_recipe(recipe or {}),
    )
