"""What a search found, on test: the best setting beside the default one, over the same seeds."""

import dataclasses
import importlib.metadata

import keras

from keras_kd.reporting import html, tensorboard
from keras_kd.search import report, sentences, space
from keras_kd.search.results import SeedMeasures, SettingMeasures, TestMeasures
from keras_kd.training import evaluation
from keras_kd.utils import progress, records, statistics


def judge(folder, result, hypermodel, dataset, stop, best_folder, config, train_best):
    """Measures the best setting and the default one on test, and writes page and HParams rows.

    Args:
      folder: of the search.
      result: its `SearchResult`, without what is measured on test.
      hypermodel: the `hypermodel.DistillationHyperModel`.
      dataset: as for `training.distill`.
      stop: a Keras callback that ends trainings at a signal.
      best_folder: where the best trial was trained.
      config: the `SearchConfig`.
      train_best: a command that trains the best setting again, for the page.

    Returns:
      The `SearchResult` with it.
    """
    packages = {name: importlib.metadata.version(name) for name in ("keras-tuner", "plotly", "scikit-learn")}
    versions = {"versions": result.description["versions"] | packages}
    chosen = [name for name in space.CHOSEN if name in result.space]
    usual = config.usual | {name: hypermodel.space.usual(name) for name in chosen}
    settings = {"best": (result.best.values, best_folder), "default": (usual, folder / "default")}
    result = dataclasses.replace(
        result,
        description=result.description | versions,
        test=_measure(hypermodel, dataset, result.seeds, settings, stop),
    )
    _write_hparams(folder, result)
    write_page(folder, result, train_best)
    return result


def _measure(hypermodel, dataset, seeds, settings, stop):
    """`TestMeasures` of the best setting, whose students are trained already, and of the default one."""
    measured, one = {}, 1 / len(dataset.test.labels)
    resolutions = {"accuracy": one, "loss": 0.0, "validation_accuracy": 1 / len(dataset.validation.labels)}
    for label, (values, place) in settings.items():
        progress.say(f"{label} setting on test, seeds {', '.join(map(str, seeds))}")
        rows = [_measure_seed(hypermodel, dataset, values, seed, place, stop) for seed in seeds]
        estimates = {
            name: statistics.estimate([getattr(row, name) for row in rows], resolution=least)
            for name, least in resolutions.items()
        }
        measured[label] = SettingMeasures(values, tuple(rows), **estimates)
    pairs = zip(measured["best"].per_seed, measured["default"].per_seed, strict=True)
    gain = statistics.estimate([best.accuracy - default.accuracy for best, default in pairs], resolution=one)
    return records.finite(TestMeasures(**measured, gain=gain))


def _measure_seed(hypermodel, dataset, values, seed, place, stop):
    """Trains a setting with one seed, as far as that is not done, and measures it on test."""
    keras.backend.clear_session()
    distiller = hypermodel.distiller(values, seed)
    trained = hypermodel.train(values, distiller, seed, folder=place / f"seed-{seed}", callbacks=[stop])
    return SeedMeasures(
        **evaluation.evaluate(distiller.student, dataset),
        seed=seed,
        validation_accuracy=trained["val_accuracy"],
    )


def _write_hparams(folder, result):
    """TensorBoard's HParams tab: a row for each trial that has a score."""
    for trial in result.trials:
        if not trial.measures:
            continue
        place = folder / "trials" / trial.trial
        for events in place.glob("events.*"):  # of a process that was killed while it wrote them
            events.unlink()
        measures = {name: sum(values) / len(values) for name, values in trial.measures.items()}
        tensorboard.write_hparams(
            place,
            f"trial {trial.trial}",
            trial.values | {"epochs": trial.epochs},
            measures | {"seconds": trial.seconds},
        )


def write_page(folder, result, train_best):
    """`search.html`."""
    data = result.description["dataset"]["name"]
    versions = result.description["versions"].items()
    again = [f"Train the best again: {train_best}"] if train_best else []
    facts = {
        "data": data,
        "seeds": ", ".join(map(str, result.seeds)),
        "versions": ", ".join(f"{name} {version}" for name, version in versions),
    }
    html.write(
        "view.html",
        folder / "search.html",
        answer=sentences.answer(result),
        title=f"Which {' and '.join(space.TITLES[name] for name in result.space)}? A search on {data}",
        lead=" ".join([sentences.searched(result), *again]),
        sections=report.sections(result),
        command=result.command,
        facts=facts,
    )
