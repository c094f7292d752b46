"""What a search leaves: the best setting measured on test, its flagfile, its page, rows for TensorBoard."""

import dataclasses
import importlib.metadata
import shutil

import keras

from experiments import common, console, teaching
from keras_kd.reporting import html, tensorboard
from keras_kd.search import report as search_report
from keras_kd.training import evaluation
from keras_kd.utils import files, statistics


def write(folder, found, model, dataset, settings, best_folder):
    """Measures the best setting and the default one on test, and writes all but the result.

    Args:
      folder: of the search.
      found: what the result says about the search so far.
      model: the `hypermodel.DistillationHyperModel`.
      dataset, settings: as for `trainer.distill`.
      best_folder: where the best trial was trained.

    Returns:
      The result.
    """
    for name in ("keras-tuner", "plotly", "scikit-learn"):
        found["versions"][name] = importlib.metadata.version(name)
    found["test"] = measure(model, dataset, found, folder, best_folder)
    found = files.plain_values(found)
    write_flagfile(folder, settings, found["best"]["values"])
    write_hparams(folder, found)
    write_page(folder, found)
    return found


def measure(model, dataset, found, folder, best_folder):
    """Test accuracy of the best setting, whose students are trained already, and of the default one."""
    usual = {"temperature": teaching.TEMPERATURE.value, "alpha": teaching.ALPHA.value}
    if teaching.ALPHA_EPOCHS.value:
        usual["alpha_epochs"] = teaching.ALPHA_EPOCHS.value
    if "teacher" in found["space"]:
        usual["teacher"] = model.space.teachers[0]
    places = {"best": (found["best"]["values"], best_folder), "default": (usual, folder / "default")}
    measured, accuracies = {}, {}
    for label, (values, place) in places.items():
        print(f"{label} setting on test, seeds {', '.join(map(str, found['seeds']))}", flush=True)
        rows = [measure_seed(model, dataset, values, seed, place) for seed in found["seeds"]]
        accuracies[label] = [row["accuracy"] for row in rows]
        measured[label] = {"values": values, "per_seed": rows} | {
            name: statistics.estimate([row[name] for row in rows])
            for name in ("accuracy", "loss", "validation_accuracy")
        }
    pairs = zip(accuracies["best"], accuracies["default"], strict=True)
    return measured | {"gain": statistics.estimate([best - default for best, default in pairs])}


def measure_seed(model, dataset, values, seed, place):
    """Trains a setting with one seed, as far as that is not done, and measures it on test."""
    keras.backend.clear_session()
    distiller = model.distiller(values, seed)
    trained = model.train(values, distiller, seed, folder=place / f"seed-{seed}", callbacks=[console.STOP])
    return evaluation.evaluate(distiller.student, dataset) | {
        "seed": seed,
        "validation_accuracy": trained["val_accuracy"],
    }


def write_flagfile(folder, settings, values):
    """`best.cfg`: flags of `experiments.distill` that train the best setting's first seed again.

    Its paths are absolute, so that it can be used from everywhere.
    """
    data = common.DATASET.value
    chosen = dataclasses.asdict(settings) | {
        "dataset": teaching.absolute(data) if data.endswith(".npz") else data,
        "data_dir": common.DATA_DIR.value and teaching.absolute(common.DATA_DIR.value),
        "validation_fraction": common.VALIDATION_FRACTION.value,
        "student_depth": teaching.STUDENT_DEPTH.value,
        "student_width": teaching.STUDENT_WIDTH.value,
        "student_shortcuts": teaching.STUDENT_SHORTCUTS.value,
        "teacher": teaching.absolute(teaching.teacher_file(folder)),
        "teacher_views": teaching.views(settings),
        "teacher_logits": teaching.absolute(teaching.TEACHER_LOGITS.value),
        "teacher_dtype": teaching.TEACHER_DTYPE.value,
        "teacher_top_k": teaching.TEACHER_TOP_K.value,
        "out": f"{teaching.absolute(folder)}-best",
    }
    lines = [f"--{name}={value}\n" for name, value in sorted((chosen | values).items()) if value is not None]
    files.write_text("".join(lines), folder / "best.cfg")


def write_hparams(folder, found):
    """TensorBoard's HParams tab: a row for each trial that has a score."""
    logs = folder / "tensorboard" / "trials"
    shutil.rmtree(logs, ignore_errors=True)  # of a process that was killed while it wrote them
    for trial in found["trials"]:
        if not trial["measures"]:
            continue
        measures = {name: sum(values) / len(values) for name, values in trial["measures"].items()}
        tensorboard.write_hparams(
            logs / trial["trial"],
            f"trial {trial['trial']}",
            trial["values"] | {"epochs": trial["epochs"]},
            measures | {"seconds": trial["seconds"]},
        )


def write_page(folder, found):
    """`search.html`."""
    accuracy = {label: found["test"][label]["accuracy"]["mean"] for label in ("best", "default")}
    lead = (
        f"{found['tuner']}: {len(found['trials'])} trials on {found['dataset']['name']}, judged by "
        f"{search_report.OBJECTIVES[found['objective']]}. The best is trial {found['best']['trial']}. On "
        f"test, touched once a seed: best {accuracy['best']:.1%}, default {accuracy['default']:.1%}. "
        f"{search_report.SELECTED}"
    )
    facts = {
        "data": found["dataset"]["name"],
        "seeds": ", ".join(map(str, found["seeds"])),
        "versions": ", ".join(f"{name} {version}" for name, version in found["versions"].items()),
    }
    html.write(
        "view.html",
        folder / "search.html",
        title=f"Search: {folder}",
        lead=lead,
        sections=search_report.sections(found),
        command=found["command"],
        facts=facts,
    )
