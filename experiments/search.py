"""Finds temperature and alpha on validation, and says on test what that gave.

    python -m experiments.search

trains a residual teacher of 20 layers and tries eight settings of temperature and alpha on the plain student,
two seeds each, in some minutes on two cores. (Its defaults of depth, width and epochs are smaller than those
of `experiments.distill`, so that it ends while one looks on.) It leaves a page, and `best.cfg`, which
`python -m experiments.distill --flagfile=` takes.

Several workers: the same command in each process, with keras-tuner's environment variables
KERASTUNER_TUNER_ID (chief, and another name for each worker), KERASTUNER_ORACLE_IP and
KERASTUNER_ORACLE_PORT. All see one folder.
"""

import dataclasses
import functools
import pathlib
import shlex
import sys

from absl import flags

from experiments import common, console, retries, search_display, search_report, teaching
from keras_kd import losses
from keras_kd.distillation import compatibility
from keras_kd.models import serialization
from keras_kd.search import oracles, space, workers
from keras_kd.search.hypermodel import DistillationHyperModel
from keras_kd.search.tuner import Tuner, best_trial
from keras_kd.training import trainer
from keras_kd.training.distributed import strategy

TUNER = flags.DEFINE_enum("tuner", "random", oracles.TUNERS, "Who says what is tried next.")
TRIALS = flags.DEFINE_integer(
    "trials", 8, "How many settings; of a grid at most so many; of Hyperband's at most so many, 0: all."
)
SEEDS_PER_TRIAL = flags.DEFINE_integer(
    "seeds_per_trial", 2, "Trainings of each setting, whose mean is its score.", lower_bound=1
)
OBJECTIVE = flags.DEFINE_enum(
    "objective",
    "accuracy",
    list(oracles.OBJECTIVES),
    "On validation: accuracy, or cross-entropy.",
)
SEARCH = flags.DEFINE_string(
    "search",
    None,
    "What else to search, beside temperature and alpha: learning_rate, alpha_epochs, teacher.",
)
TEMPERATURE_LOW = flags.DEFINE_float("temperature_low", 1.0, "Lowest temperature, > 0.")
TEMPERATURE_HIGH = flags.DEFINE_float("temperature_high", 16.0, "Highest; between them on a log scale.")
ALPHA_LOW = flags.DEFINE_float("alpha_low", 0.0, "Lowest alpha.")
ALPHA_HIGH = flags.DEFINE_float("alpha_high", 1.0, "Highest alpha.")
LEARNING_RATE_LOW = flags.DEFINE_float("learning_rate_low", 0.005, "Lowest, where it is searched.")
LEARNING_RATE_HIGH = flags.DEFINE_float("learning_rate_high", 0.1, "Highest; between them on a log scale.")
TEACHERS = flags.DEFINE_string("teachers", None, "The .keras files to choose from, with commas.")
HYPERBAND_FACTOR = flags.DEFINE_integer("hyperband_factor", 3, "Of its rounds: one of so many goes on.")
CHIEF_PATIENCE = flags.DEFINE_float("chief_patience", 20.0, "Seconds a worker waits for its chief.")
WORKER_SILENCE = flags.DEFINE_float("worker_silence", 30.0, "Seconds until a silent worker is lost.")
WORKER_PATIENCE = flags.DEFINE_float("worker_patience", 600.0, "Seconds the chief waits without a worker.")

# What may be given otherwise when a search is taken up again.
CHANGEABLE = ("retry_failed", "chief_patience", "worker_silence", "worker_patience")

# Smaller than elsewhere, so that the search ends within five minutes on two cores.
DEFAULTS = {"epochs": 15, "teacher_depth": 20, "student_depth": 20, "student_width": 8}

CHOICES = ("learning_rate", "alpha_epochs", "teacher")


def main():
    settings = common.settings()
    space = space_of_flags(settings)
    own = workers.worker_config()
    plan = check(space, settings)
    folder = common.open_run("search", changeable=CHANGEABLE)
    if own and not own.is_chief:
        work(folder, own, settings, space)
        return
    found = None if retries.RETRY_FAILED.value else common.finished(folder)
    if found is None and own:
        workers.check_free(own)
    if found is None:
        strategy.prepare(settings)
        dataset = common.load_dataset()
        model = hypermodel(space, dataset, settings, folder.path)
        check_networks(dataset, settings, space)
        search_display.print_plan(TUNER.value, space, plan, seeds(settings), measure_of_flags())
        with folder.claimed(common.OVERWRITE.value):
            found = conduct(folder.path, model, dataset, settings, own, len(plan))
            folder.finish(found)
    show(folder, found)


def show(folder, found):
    """Prints what was found and where it is; ends in an error if a trial failed."""
    search_display.print_findings(found)
    console.print_paths(
        run=folder.path,
        page=folder.path / "search.html",
        flagfile=folder.path / "best.cfg",
        tensorboard=common.tensorboard_of(folder),
        result=folder.path / "result.json",
    )
    failed = [trial for trial in found["trials"] if trial["error"]]
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(found['trials'])} trials failed, {failed[0]['trial']} because of "
            f"{failed[0]['error']}; see {folder.path / 'results'}, then give it again with --retry_failed"
        )


# --------------------------------------------------------------------------- what the flags ask for


def searched():
    """Names of what is searched beside temperature and alpha."""
    return SEARCH.value.split(",") if SEARCH.value else []


def teachers_given():
    """Paths of the teachers to choose from."""
    return TEACHERS.value.split(",") if TEACHERS.value else []


def space_of_flags(settings):
    """The `space.SearchSpace`, with what is searched beside temperature and alpha."""
    unknown = [name for name in searched() if name not in CHOICES]
    if unknown:
        raise ValueError(f"--search takes {', '.join(CHOICES)}. Received: {', '.join(unknown)}")
    if ("teacher" in searched()) != bool(teachers_given()) or len(teachers_given()) == 1:
        raise ValueError("--search=teacher needs two files or more in --teachers, and they need it")
    if teaching.ALPHA_EPOCHS.value and "alpha_epochs" not in searched():
        stays = (teaching.ALPHA_EPOCHS.value,) * 2
    else:
        stays = (1, settings.epochs) if "alpha_epochs" in searched() else None
    return space.SearchSpace(
        temperature=(TEMPERATURE_LOW.value, TEMPERATURE_HIGH.value),
        alpha=(ALPHA_LOW.value, ALPHA_HIGH.value),
        learning_rate=(LEARNING_RATE_LOW.value, LEARNING_RATE_HIGH.value)
        if "learning_rate" in searched()
        else None,
        alpha_epochs=stays,
        teachers=tuple(teaching.absolute(path) for path in teachers_given()),
    )


def check(space, settings):
    """The epochs of each trial; what cannot work is refused before anything is written."""
    losses.check_temperature(teaching.TEMPERATURE.value)
    losses.check_alpha(teaching.ALPHA.value)
    if settings.strategy == "multiworker":
        raise ValueError(
            "a trial belongs to one host: several hosts are workers; use --strategy=mirrored in each"
        )
    if settings.epochs < teaching.ALPHA_EPOCHS.value:
        raise ValueError(f"--alpha_epochs must be at most --epochs={settings.epochs}")
    for name in (CHIEF_PATIENCE, WORKER_SILENCE, WORKER_PATIENCE):
        if not name.value > 0:
            raise ValueError(f"--{name.name} must be > 0 seconds. Received: {name.value}")
    return oracles.plan(TUNER.value, space, **options(settings))


def options(settings):
    """What `oracles.make_oracle` wants beside tuner, space and path."""
    return {
        "trials": TRIALS.value,
        "objective": OBJECTIVE.value,
        "seed": settings.seed,
        "epochs": settings.epochs,
        "factor": HYPERBAND_FACTOR.value,
    }


def measure_of_flags():
    """The validation measure that is the objective."""
    return oracles.OBJECTIVES[OBJECTIVE.value][0]


def seeds(settings):
    """Of the students of a trial; the data and the teacher have the first."""
    return [settings.seed + number for number in range(SEEDS_PER_TRIAL.value)]


# --------------------------------------------------------------------------- what is trained


def hypermodel(space, dataset, settings, folder):
    """The `hypermodel.DistillationHyperModel`; teachers are read when first asked for."""

    @functools.cache
    def teacher(path):
        return serialization.load_model(path or teaching.teacher_file(folder))

    def logits(network, trial_settings):
        return teaching.kept_logits(network, dataset, trial_settings, teaching.views(settings))

    def student(seed):
        return teaching.new_student(dataset, dataclasses.replace(settings, seed=seed))

    return DistillationHyperModel(space, dataset, settings, student, teacher, logits)


def check_networks(dataset, settings, space):
    """Raises a ValueError if a teacher cannot be read, or does not fit the student."""
    student = teaching.new_student(dataset, settings)
    with strategy.scope(settings):
        given = space.teachers or ([teaching.TEACHER.value] if teaching.TEACHER.value else [])
        networks = [serialization.load_model(path) for path in given] or [
            teaching.new_teacher(dataset, settings)
        ]
    for network in networks:
        compatibility.check_pair(network, student)


def train_teacher(dataset, settings, folder):
    """Trains the teacher if no file is given and it is not there yet."""
    if teachers_given() or pathlib.Path(teaching.teacher_file(folder)).is_file():
        return
    network = teaching.new_teacher(dataset, settings)
    print(f"teacher: {network.name}, {common.parameters(network):,} parameters", flush=True)
    trainer.train(network, dataset, settings, folder=folder, label="teacher", callbacks=[console.STOP])
    serialization.save_model(network, folder / "teacher.keras")


def conduct(folder, model, dataset, settings, own, total):
    """Searches, alone or with workers, and measures the best; returns the result."""
    oracle = oracles.make_oracle(TUNER.value, model.space, path=folder / "search.json", **options(settings))
    display = search_display.Display(total, measure_of_flags())
    tuner = Tuner(
        oracle, model, folder, seeds(settings), [console.STOP], lambda record: display.show([record])
    )
    if oracle.path.exists():
        oracle.reload()
        if retries.RETRY_FAILED.value:
            oracle.retry_failed()
        display.skip(tuner.records())
    prepare = functools.partial(train_teacher, dataset, settings, folder)
    if own:
        lead(tuner, oracle, own, prepare, display)
    else:
        prepare()
        tuner.search()
    records = tuner.records()
    best = best_trial(records, settings.epochs, oracle.objective.direction)
    if best is None:
        reason = next((record.error for record in records if record.error), "none was trained to the end")
        raise ValueError(f"no trial of {len(records)} has a score: {reason}")
    if len(records) < total:
        print(f"{len(records)} trials in place of {total}: there was nothing else to try", flush=True)
    found = describe(tuner, model.space, settings, best) | common.describe(dataset, settings)
    return search_report.write(folder, found, model, dataset, settings, tuner.folder_of(best.trial))


def describe(tuner, space, settings, best):
    """What the result says about the search."""
    return {
        "command": shlex.join(["python", "-m", "experiments.search", *sys.argv[1:]]),
        "tuner": TUNER.value,
        "objective": measure_of_flags(),
        "direction": tuner.oracle.objective.direction,
        "space": {name: getattr(space, name, space.teachers) for name in space.names},
        "epochs": settings.epochs,
        "seeds": seeds(settings),
        "trials": [dataclasses.asdict(record) for record in tuner.records()],
        "best": dataclasses.asdict(best),
    }


def lead(tuner, oracle, own, prepare, display):
    """What the chief does until all trials have ended."""
    print(f"chief: workers are waited for at {own.place}", flush=True)

    def watch():
        display.show(tuner.records())
        console.STOP.check(f"{len(oracle.end_order)} trials done")

    workers.run_chief(
        tuner,
        oracle,
        own,
        prepare=prepare,
        watch=watch,
        silence=WORKER_SILENCE.value,
        patience=WORKER_PATIENCE.value,
    )


def work(folder, own, settings, space):
    """What a worker does: trains what the chief hands out, until nothing is left."""
    if common.OVERWRITE.value:
        raise ValueError("--overwrite is the chief's: give it there alone")
    if not retries.RETRY_FAILED.value and common.finished(folder) is not None:
        return
    workers.find_chief(own, CHIEF_PATIENCE.value)
    if not folder.begun:
        raise ValueError(f"{folder.path} is not the chief's folder: all workers must see that one")
    folder.check_flags()
    strategy.prepare(settings)
    dataset = common.load_dataset()
    model = hypermodel(space, dataset, settings, folder.path)
    oracle = oracles.make_oracle(TUNER.value, space, path=folder.path / "search.json", **options(settings))
    watch = functools.partial(search_display.print_record, measure_of_flags())
    tuner = Tuner(oracle, model, folder.path, seeds(settings), [console.STOP], watch)
    with workers.Heartbeat(own, tuner, WORKER_SILENCE.value):
        tuner.search()
    print(f"worker {own.name} is done: the chief writes the result", flush=True)


if __name__ == "__main__":
    for flag, default in DEFAULTS.items():
        flags.FLAGS.set_default(flag, default)
    console.run(main)
