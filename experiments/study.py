"""Asks the paper's questions of a dataset: trains a grid of networks, judges its claims, writes one page.

    python -m experiments.study

runs the small study `smoke`; `--study=depth` (and the other files of experiments/studies, or the path of
one of your own) a real one. The same command goes on where a study was stopped.
"""

import importlib.metadata
import os
import pathlib
import shlex
import sys

from absl import flags

from experiments import common, console, retries, study_display
from keras_kd.reporting import figures, tensorboard
from keras_kd.study import config, design, executors, runner, worker
from keras_kd.study.findings import analyses, summary
from keras_kd.study.findings import report as study_report
from keras_kd.utils import files

STUDIES = pathlib.Path(__file__).with_name("studies")

STUDY = flags.DEFINE_string("study", "smoke", "A file of experiments/studies, or a path ending in .yaml.")
SEEDS = flags.DEFINE_integer("seeds", 0, "How many; 0: as the study says.", lower_bound=0)
WIDTH = flags.DEFINE_integer(
    "width", 0, "In place of `network: {width: ...}` of the study; 0: as it says.", lower_bound=0
)
JOBS = flags.DEFINE_integer("jobs", 1, "Runs at a time, each in a process of its own.", lower_bound=1)
THREADS = flags.DEFINE_integer(
    "threads",
    1,
    "Of TensorFlow in each run, for one operation: other numbers round otherwise.",
    lower_bound=1,
)
CLUSTER = flags.DEFINE_string("cluster", None, "Address of a Ray cluster, or 'local': hands runs to it.")

# What may be given otherwise when a study is taken up again.
CHANGEABLE = ("jobs", "cluster", "retry_failed", "seeds")


def main():
    grid = config.read_config(
        study_file(),
        dataset=common.given("dataset"),
        seeds=list(range(SEEDS.value)) or None,
        network={"width": WIDTH.value} if WIDTH.value else None,
        recipe=common.given_settings(design.AXES),
    )
    folder = common.open_run("study", name=f"study-{grid.name}", changeable=CHANGEABLE, only_given=True)
    trainer = worker.RunTrainer(
        absolute(grid.dataset),
        grid.settings,
        absolute(common.DATA_DIR.value),
        common.VALIDATION_FRACTION.value,
    )
    trainer.check(grid.runs)
    dataset = trainer.load(grid.seeds[0])
    described = common.describe(dataset, grid.settings)
    described["dataset"]["name"] = grid.dataset
    own = runner.Study(folder.path, grid.runs, identity(described, trainer, grid))
    study_display.print_plan(grid)
    with folder.claimed(common.OVERWRITE.value):
        grew = own.begin()
        records = train(own, trainer)
        found = (
            {"grew": grew}
            | describe_study(grid, described)
            | summary.summarize(
                records, grid.claims, margin=grid.margin, test_examples=len(dataset.test.labels)
            )
        )
        write(own.folder, found)
    study_display.print_findings(found)
    console.print_paths(
        run=folder.path,
        report=folder.path / "report.html",
        results=folder.path / "results.csv",
        pictures=folder.path / "pictures",
        tensorboard=common.tensorboard_of(folder),
        result=folder.path / "result.json",
    )
    check_failures(folder.path, records)


def study_file():
    """The path that --study names."""
    if STUDY.value.endswith((".yaml", ".yml")):
        return pathlib.Path(STUDY.value)
    known = sorted(path.stem for path in STUDIES.glob("*.yaml"))
    if STUDY.value not in known:
        raise ValueError(
            f"--study must be one of {', '.join(known)}, or a path ending in .yaml. Received: {STUDY.value!r}"
        )
    return STUDIES / f"{STUDY.value}.yaml"


def absolute(path):
    """A path as other processes find it; the name of a dataset stays as it is."""
    is_path = path and (path.endswith(".npz") or path == common.DATA_DIR.value)
    return str(pathlib.Path(path).absolute()) if is_path else path


def identity(described, trainer, grid):
    """What all runs of a study share; another one is refused."""
    return {
        "dataset": described["dataset"],
        "settings": {name: value for name, value in described["settings"].items() if name not in design.AXES},
        "validation_fraction": trainer.validation_fraction,
        "versions": described["versions"],
        "threads": THREADS.value,
        "margin": grid.margin,
        "claims": grid.claims,
    }


def train(own, trainer):
    """Trains what is not there yet; `{Run: Record}`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the processes that train
    pool = (
        executors.RayExecutor(CLUSTER.value, THREADS.value)
        if CLUSTER.value
        else executors.ProcessExecutor(JOBS.value, THREADS.value)
    )
    with pool, study_display.Display(STUDY.value, console.STOP) as display:
        return own.run(trainer, pool, retry_failed=retries.RETRY_FAILED.value, watch=display.show)


def describe_study(grid, described):
    """What the page says beside what was found."""
    command = shlex.join(["python", "-m", "experiments.study", *sys.argv[1:]])
    packages = ("scipy", "plotly", "rich")
    described["versions"] |= {name: importlib.metadata.version(name) for name in packages}
    return {
        "study": grid.name,
        "question": grid.question,
        "claims": grid.claims,
        "command": command,
        "seeds": grid.seeds,
        "margin": grid.margin,
        **described,
    }


def write(folder, found):
    """Writes the table, the pictures, the page, and last the result."""
    summary.write_csv(found["rows"], folder / "results.csv")
    for name, draw in figures.STUDY.items():
        figure = draw(found)
        if figure is not None:
            figures.write_png(figure, folder / "pictures" / f"{name}.png")
            tensorboard.write_picture(folder / "tensorboard" / "study", name, figure)
    study_report.write(found, folder / "report.html", sections=analyses.sections_of_study(folder))
    files.write_json(found, folder / "result.json")


def check_failures(folder, records):
    """Ends the script in an error if any run failed."""
    failed = [record for record in records.values() if record.error]
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(records)} runs failed, {failed[0].run.key} because of {failed[0].error}; "
            f"see {folder / 'failed'}, and give the same command with --retry_failed"
        )


if __name__ == "__main__":
    console.run(main)
