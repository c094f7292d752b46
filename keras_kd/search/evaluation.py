"""What a search found, on test: the best setting beside the default one, over the same seeds."""

import importlib.metadata
import shutil

import keras

from keras_kd.reporting import html, tensorboard
from keras_kd.search import report
from keras_kd.training import evaluation
from keras_kd.utils import files, statistics


def judge(folder, result, hypermodel, dataset, stop, best_folder, config):
    """Measures the best setting and the default one on test, and writes page and HParams rows.

    Args:
      folder: of the search.
      result: what it says about the search so far.
      hypermodel: the `hypermodel.DistillationHyperModel`.
      dataset: as for `training.distill`.
      stop: a Keras callback that ends trainings at a signal.
      best_folder: where the best trial was trained.
      config: the `SearchConfig`.

    Returns:
      The result, as plain values.
    """
    for name in ("keras-tuner", "plotly", "scikit-learn"):
        result["versions"][name] = importlib.metadata.version(name)
    usual = dict(config.usual)
    if "teacher" in result["space"]:
        usual["teacher"] = hypermodel.space.teachers[0]
    settings = {"best": (result["best"]["values"], best_folder), "default": (usual, folder / "default")}
    result["test"] = _measure(hypermodel, dataset, result["seeds"], settings, stop)
    result = files.plain_values(result)
    _write_hparams(folder, result)
    _write_page(folder, result)
    return result


def _measure(hypermodel, dataset, seeds, settings, stop):
    """Test accuracy of the best setting, whose students are trained already, and of the default one."""
    measured, accuracies = {}, {}
    for label, (values, place) in settings.items():
        print(f"{label} setting on test, seeds {', '.join(map(str, seeds))}", flush=True)
        rows = [_measure_seed(hypermodel, dataset, values, seed, place, stop) for seed in seeds]
        accuracies[label] = [row["accuracy"] for row in rows]
        measured[label] = {"values": values, "per_seed": rows} | {
            name: statistics.estimate([row[name] for row in rows])
            for name in ("accuracy", "loss", "validation_accuracy")
        }
    pairs = zip(accuracies["best"], accuracies["default"], strict=True)
    return measured | {"gain": statistics.estimate([best - default for best, default in pairs])}


def _measure_seed(hypermodel, dataset, values, seed, place, stop):
    """Trains a setting with one seed, as far as that is not done, and measures it on test."""
    keras.backend.clear_session()
    distiller = hypermodel.distiller(values, seed)
    trained = hypermodel.train(values, distiller, seed, folder=place / f"seed-{seed}", callbacks=[stop])
    return evaluation.evaluate(distiller.student, dataset) | {
        "seed": seed,
        "validation_accuracy": trained["val_accuracy"],
    }


def _write_hparams(folder, result):
    """TensorBoard's HParams tab: a row for each trial that has a score."""
    logs = folder / "tensorboard" / "trials"
    shutil.rmtree(logs, ignore_errors=True)  # of a process that was killed while it wrote them
    for trial in result["trials"]:
        if not trial["measures"]:
            continue
        measures = {name: sum(values) / len(values) for name, values in trial["measures"].items()}
        tensorboard.write_hparams(
            logs / trial["trial"],
            f"trial {trial['trial']}",
            trial["values"] | {"epochs": trial["epochs"]},
            measures | {"seconds": trial["seconds"]},
        )


def _write_page(folder, result):
    """`search.html`."""
    accuracy = {label: result["test"][label]["accuracy"]["mean"] for label in ("best", "default")}
    lead = (
        f"{result['tuner']}: {len(result['trials'])} trials on {result['dataset']['name']}, judged by "
        f"{report.OBJECTIVES[result['objective']]}. The best is trial {result['best']['trial']}. On "
        f"test, touched once a seed: best {accuracy['best']:.1%}, default {accuracy['default']:.1%}. "
        f"{report.SELECTED}"
    )
    facts = {
        "data": result["dataset"]["name"],
        "seeds": ", ".join(map(str, result["seeds"])),
        "versions": ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
    }
    html.write(
        "view.html",
        folder / "search.html",
        title=f"Search: {folder}",
        lead=lead,
        sections=report.sections(result),
        command=result["command"],
        facts=facts,
    )
