"""A search as flags ask for it: its networks, its workers, and the flagfile of its best setting."""

import dataclasses
import pathlib

from keras_kd.cli import console, main, network_flags, networks, runs, search_display
from keras_kd.data import datasets
from keras_kd.data.dataset import check_one_class
from keras_kd.distillation import recipes
from keras_kd.search import loss_choices, oracles, session, workers
from keras_kd.training.distributed import strategy
from keras_kd.utils import files, specs


def open_session(values, run, config, settings, dataset):
    """The `session.SearchSession` of a run."""
    views = values.teacher_views or settings.epochs  # as many as epochs: like the live teacher
    runs.check_logits_place(values, views)

    def new_student(seed, spec=None):
        return networks.new_student(values, dataset, dataclasses.replace(settings, seed=seed), spec)

    made = session.Networks(
        new_student,
        lambda: networks.new_teacher(values, dataset, settings),
        networks.teacher_file(values),
        lambda teacher, of_trial: runs.cached_logits(values, dataset, of_trial, views)(teacher),
        lambda path: networks.read_teacher(values, path, dataset, settings),
        bool(values.trust_teacher),
    )
    return session.SearchSession(config, settings, dataset, made, run.path, console.stop_signal())


def search(values, run, worker, config, settings):
    """Searches alone or as the chief, in the run's folder; returns the `SearchResult`."""
    if worker:
        workers.check_free(worker)
    strategy.prepare(settings)
    dataset, settings = runs.load_dataset(values, settings)
    check_one_class(dataset, "a search")
    own = open_session(values, run, config, settings, dataset)
    own.check_networks()
    epochs = session.plan(config, settings)
    objective = oracles.OBJECTIVES[config.objective][0]
    seeds = config.seeds(settings.seed)
    search_display.print_plan(config.tuner, own.space, epochs, seeds, objective)
    display = search_display.Display(len(epochs), objective, seeds)
    with run.claimed(values.overwrite), display:
        result = own.run(
            display,
            command=main.command_line(),
            train_best=console.command_of("distill", flagfile=absolute(run.path / BEST)),
            worker=worker,
            silence=values.worker_silence,
            patience=values.worker_patience,
            retry_failed=values.retry_failed,
        )
        write_best(values, run, own, settings, result)
        run.finish(result.to_json())
    return result


def join(values, run, worker, config, settings):
    """What a worker does: trains what the chief hands out, until nothing is left."""
    workers.find_chief(worker, values.chief_patience)
    if not run.begun:
        raise ValueError(f"{run.path} is not the chief's folder: all workers must see that one")
    run.check_flags()
    strategy.prepare(settings)
    dataset, settings = runs.load_dataset(values, settings)
    check_one_class(dataset, "a search")
    own = open_session(values, run, config, settings, dataset)
    objective = oracles.OBJECTIVES[config.objective][0]
    own.work(worker, lambda record: search_display.print_record(objective, record), values.worker_silence)
    print(f"worker {worker.name} is done: the chief writes the result", flush=True)


# Flags of `distill` that train the best setting again.
BEST = "best.cfg"


def write_best(values, run, own, settings, result):
    """`best.cfg`: flags of `distill` that train the best setting's first seed again.

    Its paths are absolute, so that it can be used from everywhere.
    """
    chosen = dataclasses.asdict(settings) | {
        "dataset": datasets.absolute_name(values.dataset),
        "data_dir": values.data_dir and absolute(values.data_dir),
        "cache_dir": values.cache_dir and absolute(values.cache_dir),
        "teacher": absolute(own.teacher_file),
        "teacher_views": values.teacher_views or settings.epochs,
        "teacher_logits": absolute(values.teacher_logits),
        "class_map": values.class_map and absolute(values.class_map),
        "out": f"{absolute(run.path)}-best",
    }
    same = ("validation_fraction", "split_seed", *network_flags.given_names(values, "student"))
    same += ("teacher_dtype", "teacher_top_k", "teacher_preprocessing", "trust_teacher")
    same += ("cache", "skip_bad_images")
    chosen |= {name: values[name].value for name in same}
    setting = flags_of_setting(result.best.values)
    if "student" in setting:  # which says what the others say
        chosen |= dict.fromkeys(network_flags.SHORT_FORMS["student"])
    chosen |= setting
    if specs.is_file(chosen.get("student")):
        chosen["student"] = absolute(chosen["student"])
    lines = [f"--{name}={value}\n" for name, value in sorted(chosen.items()) if value is not None]
    files.write_text("".join(lines), run.path / BEST)


def flags_of_setting(setting):
    """`{flag of distill: value, or None: as by default}` of `{hyperparameter: value}`."""
    recipe = recipes.of_setting(setting)
    found = {"shortcut_removal": "none"} | loss_choices.without_options(setting)  # of `distill` it is another
    if found.pop("loss_weight_factor", 1.0) != 1.0:
        found["loss"] = recipe.text
    if not recipe.has_kd:
        found |= dict.fromkeys(recipes.OF_KD)
    return found | {"teacher_views": None} if recipe.asks_layers else found


def absolute(path):
    """A path as it is found from elsewhere."""
    return str(pathlib.Path(path).absolute())
