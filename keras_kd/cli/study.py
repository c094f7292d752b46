"""Ask the paper's questions of a dataset: train a grid of networks, judge its claims, write one page.

    keras-kd study

runs the small study `smoke`; `--study=depth`, another that comes with the package, or the path of one of your
own a real one. The same command goes on where a study was stopped.
"""

import os

from keras_kd.cli import flags
from keras_kd.training import config
from keras_kd.utils import limits

# What may be given otherwise when a study is taken up again.
CHANGEABLE = ("jobs", "cluster", "retry_failed", "seeds", "depths", "runs_from")


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    common = flags.Group(values, flags.COMMON)
    common.text("study", "smoke", "One that comes with the package, or a path ending in .yaml.")
    flags.define_data(values)
    flags.define_run(values, "runs/study-STUDY")
    study = flags.Group(values, "study")
    study.integer("seeds", 0, "How many; 0: as the study says.", limits.whole(0, limits.SEEDS.high))
    study.texts("depths", [], "Networks of these depths alone; the study may grow by others.")
    words = "In place of the study's `network: {width: ...}`; 0: as it says."
    study.integer("student_width", 0, words, limits.whole(0, limits.WIDTH.high))
    words = "Folders of other studies: what they trained with this recipe is not trained again."
    study.texts("runs_from", [], words)
    study.integer("jobs", 1, "Runs at a time, each in a process of its own.", limits.JOBS)
    study.integer("threads", 1, "Of TensorFlow in each run; other numbers round otherwise.", limits.THREADS)
    study.text("cluster", None, "Address of a Ray cluster, or 'local': hands runs to it.")
    flags.define_retry(values)
    flags.define_settings(values)


def check(values):
    """Raises a ValueError for flags that cannot be, before anything is imported that takes seconds."""
    config.Settings(**flags.given_settings(values))


def main(values):
    """Does what the flags ask for."""
    from keras_kd.cli import console, runs, study_display
    from keras_kd.cli import main as main_line
    from keras_kd.study import session

    study = session.read(
        values.study,
        dataset=flags.given(values, "dataset"),
        seeds=values.seeds,
        depths=[limits.DEPTH.check("depths", _whole(depth)) for depth in values.depths],
        width=values.student_width,
        recipe=flags.given_settings(values),
    )
    run = runs.open_run(values, "study", name=f"study-{study.name}", changeable=CHANGEABLE, only_given=True)
    own = session.StudySession(
        study,
        run.path,
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
    study_display.print_findings(result.summary)
    study_display.print_paths(run.path, runs.tensorboard_of(run))
    console.print_next("reuse", run=run.path)
    study_display.check_failures(run.path, records)


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
