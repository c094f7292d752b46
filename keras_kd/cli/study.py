"""Ask the paper's questions of a dataset: train a grid of networks, judge its claims, write one page.

    keras-kd study

runs the small study `smoke`; `--study=depth`, another that comes with the package, or the path of one of your
own a real one. The same command goes on where a study was stopped.
"""

import os
import pathlib

from keras_kd.cli import flags
from keras_kd.training import config
from keras_kd.utils import limits, seeding

# What may be given otherwise when a study is taken up again.
CHANGEABLE = ("jobs", "cluster", "retry_failed", "seeds", "depths", "runs_from", "replicates")

# What draws a table, and trains nothing.
_OF_A_REPORT = ("report_only", "results")


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    common = flags.Group(values, flags.COMMON)
    common.text("study", "smoke", "One that comes with the package, or a path ending in .yaml.")
    flags.define_data(values)
    flags.define_run(values, "runs/study-STUDY")
    study = flags.Group(values, "study")
    words = "How many, or which, as 5..9; as the study says if not given."
    study.text("seeds", None, words, seeding.numbers)
    study.texts("depths", [], "Networks of these depths alone; the study may grow by others.")
    words = "In place of the study's `network: {width: ...}`; 0: as it says."
    study.integer("student_width", 0, words, limits.whole(0, limits.WIDTH.high))
    words = "Folders of other studies: what they trained with this recipe is not trained again."
    study.texts("runs_from", [], words)
    words = "Folder or results.csv of this study with other seeds: says which verdicts came again."
    study.text("replicates", None, words)
    study.integer("jobs", 1, "Runs at a time, each in a process of its own.", limits.JOBS)
    study.integer("threads", 1, "Of TensorFlow in each run; other numbers round otherwise.", limits.THREADS)
    study.text("cluster", None, "Address of a Ray cluster, or 'local': hands runs to it.")
    flags.define_retry(values)
    words = "Train nothing: judge and draw again what a table has; needs neither networks nor the dataset."
    study.switch("report_only", False, words)
    words = "The table of --report_only; OUT/results.csv, or experiments/results/STUDY.csv, if not given."
    study.text("results", None, words)
    flags.define_settings(values)


def check(values):
    """Raises a ValueError for flags that cannot be, before anything is imported that takes seconds."""
    config.Settings(**flags.given_settings(values))
    if values.results and not values.report_only:
        raise ValueError(f"--results={values.results} is drawn by --report_only: give that too")


def main(values):
    """Does what the flags ask for."""
    from keras_kd.study.findings import replication

    study, first = _read(values, values.seeds), _first(values)
    if first:
        replication.check_other_seeds(first, study.name, study.seeds)
    (_report if values.report_only else _train)(values, study, first)


def _read(values, seeds):
    """The study that flags name, with these seeds."""
    from keras_kd.study import session

    return session.read(
        values.study,
        dataset=flags.given(values, "dataset"),
        seeds=seeds,
        depths=[limits.DEPTH.check("depths", _whole(depth)) for depth in values.depths],
        width=values.student_width,
        recipe=flags.given_settings(values),
    )


def _first(values):
    """The `results.StudyResult` that this study repeats, or None."""
    if not values.replicates:
        return None
    from keras_kd.study import redraw, session

    path = pathlib.Path(values.replicates)
    if path.suffix != ".csv":
        return session.read_result(path)
    return redraw.redraw(_read(values, redraw.seeds_of(path)), path, command="")[0]


def _name(values, study):
    """Of the folder if none is given."""
    return f"{study.name}-again" if values.replicates else study.name


def _train(values, study, first):
    """Trains what is not there yet, judges and draws it."""
    from keras_kd.cli import console, runs, study_display
    from keras_kd.cli import main as main_line
    from keras_kd.study import session

    name = f"study-{_name(values, study)}"
    about = {"name": name, "dataset": study.dataset, "changeable": CHANGEABLE}
    run = runs.open_run(values, "study", **about, only_given=True)
    own = session.StudySession(
        study,
        run.path,
        first=first,
        threads=values.threads,
        data_dir=values.data_dir,
        validation_fraction=values.validation_fraction,
        split_seed=values.split_seed,
        **flags.data_options(values),
    )
    study_display.print_plan(study)
    executor = _executor(values)
    display = study_display.Display(values.study, console.stop_signal())
    with run.claimed(values.overwrite), display:
        own.take_runs(values.runs_from)
        result, records = own.run(
            executor,
            command=main_line.command_line(),
            retry_failed=values.retry_failed,
            progress=display.show,
        )
    study_display.print_findings(result)
    console.print_notes(result.notes)
    study_display.print_paths(run.path, runs.tensorboard_of(run))
    study_display.print_next(run.path, result, **flags.given_of(values, ["data_dir"]))
    study_display.check_failures(run.path, records)


def _report(values, study, first):
    """Judges and draws what a table has."""
    from keras_kd.cli import console, runs, study_display
    from keras_kd.cli import main as main_line
    from keras_kd.reporting import formatting
    from keras_kd.study import redraw, session
    from keras_kd.study.findings import replication
    from keras_kd.study.findings import report as study_report

    out = pathlib.Path(values.out or f"runs/report-{_name(values, study)}")
    _check_whose(out, values)
    runs.check_place(out)
    table = _table(values, out, study.name)
    result, strange = redraw.redraw(study, table, command=main_line.command_line())
    result = replication.with_first(result, first)
    with study_report.alone(out):
        session.draw(out, result, len(study.runs))
    if strange:
        count, more = formatting.counted(len(strange), "run"), ", ..." if len(strange) > 1 else ""
        print(f"{count} of {table} left out, as not of this study: {strange[0]}{more}")
    study_display.print_findings(result, len(study.runs))
    console.print_paths(report=out / session.PAGE, pictures=out / "pictures", results=table)
    given = flags.as_text(values, only_given=True)
    asked = {name: text for name, text in given.items() if name not in _OF_A_REPORT}
    console.print_next("study", **{"study": values.study} | asked)


def _check_whose(out, values):
    """Raises a ValueError if the folder has a page already, of another command or study."""
    from keras_kd.utils import run_dir

    if (out / run_dir.FLAGFILE).is_file():
        given = flags.as_text(values, only_given=True)
        run_dir.RunDir(out, given, command="study", same=("study",)).check_overwritable()


def _table(values, out, name):
    """The path of the table that is drawn."""
    from keras_kd.study import table

    if values.results:
        return pathlib.Path(values.results)
    places = [out / table.RESULTS, pathlib.Path("experiments/results") / f"{name}.csv"]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise ValueError(
            f"there is no table of the study {name!r}, neither {places[0]} nor {places[1]}: "
            f"give its path with --results"
        )
    return found


def _whole(text):
    return int(text) if text.isdecimal() else text


def _executor(values):
    """Where runs are trained."""
    from keras_kd.study import executors
    from keras_kd.utils import processes

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the processes that train
    if values.cluster:
        return executors.RayExecutor(values.cluster, values.threads)
    return processes.ProcessExecutor(values.jobs, values.threads)
