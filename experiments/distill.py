"""Distils a teacher into a student without shortcuts, and shows what that gave.

    python -m experiments.distill

trains a residual teacher, the plain student alone and the plain student with the teacher's
help, measures all three on test, and writes the distilled student as a SavedModel. Where the
teacher is the student's residual twin (the default) it also says what the shortcuts were worth
(drop) and how much of that the teacher brought back (recovery).
"""

import functools
import pathlib

from absl import flags

from experiments import common, console, layout, snapshots, teaching
from keras_kd import losses
from keras_kd.distillation import compatibility, schedules
from keras_kd.export.saved_model import export_saved_model
from keras_kd.models import serialization
from keras_kd.reporting import figures, tensorboard
from keras_kd.training import evaluation, trainer
from keras_kd.training.distributed import strategy
from keras_kd.utils import backend, statistics

BASELINE = flags.DEFINE_bool(
    "baseline", False, "Whether to train the student's residual twin where the teacher is not that."
)
SAVED_MODELS = flags.DEFINE_string("saved_models", "saved_models", "Where the export goes.")


def main():
    losses.check_temperature(teaching.TEMPERATURE.value)
    losses.check_alpha(teaching.ALPHA.value)
    settings = common.settings()
    exports = SAVED_MODELS.value if backend.on_tensorflow() else None
    run = common.open_run("distill", exports)
    saved_model = exports and pathlib.Path(exports) / run.path.name
    result = common.finished(run)
    if result is None:
        strategy.prepare(settings)
        dataset = common.load_dataset()
        networks = build_networks(dataset, settings)
        work = functools.partial(distil, networks, dataset, settings, run.path, saved_model)
        result = common.complete(run, settings, work)
        if result is None:
            return
    print_summary(result["networks"], result["effects"])
    console.print_paths(
        run=run.path,
        tensorboard=common.tensorboard_of(run),
        curves=run.path / "curves.png",
        saved_model=saved_model or "only with KERAS_BACKEND=tensorflow",
        result=run.path / "result.json",
    )


def distil(networks, dataset, settings, folder, saved_model):
    """Trains, measures, saves and draws; returns the result, of several hosts on the chief alone."""
    trained = train_networks(networks, dataset, settings, folder)
    if not strategy.is_chief(settings):
        return None
    common.write_samples(folder, dataset)
    rows = measure(networks, trained, dataset)
    effects = measure_effects(rows)

    for label, network in networks.items():
        serialization.save_model(network, folder / layout.NETWORKS[label])
    teacher, student = networks["teacher"], networks["student_distilled"]
    parity = saved_model and export_saved_model(student, saved_model, dataset=dataset)
    hparams = {
        "temperature": teaching.TEMPERATURE.value,
        "alpha": teaching.ALPHA.value,
        "alpha_epochs": teaching.ALPHA_EPOCHS.value,
        "teacher": teacher.name,
        "student": student.name,
    }
    common.write_hparams(folder, settings, hparams, rows, effects)
    draw_curves(trained, rows, folder)
    return {
        **hparams,
        "networks": rows,
        "effects": effects,
        "export": parity,
        "history": {label: each.history for label, each in trained.items()},
        **common.describe(dataset, settings),
    }


def build_networks(dataset, settings):
    """`{label: network}` in the order of training; all start from the same seed."""
    with strategy.scope(settings):
        if teaching.TEACHER.value:
            teacher = serialization.load_model(teaching.TEACHER.value)
        else:
            teacher = teaching.new_teacher(dataset, settings)
    networks = {"teacher": teacher}
    if BASELINE.value and not teacher_is_baseline():
        networks["baseline"] = teaching.new_student(dataset, settings, shortcuts=True)
    for label in ("student_alone", "student_distilled"):
        networks[label] = teaching.new_student(dataset, settings)
    compatibility.check_pair(teacher, networks["student_distilled"])
    return networks


def teacher_is_baseline():
    """Whether the teacher is the residual twin of a student that lacks shortcuts."""
    teacher = (teaching.TEACHER_DEPTH.value, teaching.TEACHER_WIDTH.value)
    student = (teaching.STUDENT_DEPTH.value, teaching.STUDENT_WIDTH.value)
    is_twin = teaching.TEACHER.value is None and teacher == student
    return is_twin and teaching.STUDENT_SHORTCUTS.value != "all"


def train_networks(networks, dataset, settings, folder):
    """Trains each network, the distilled student with the teacher; `{label: Trained}`."""
    trained = {}
    for label, network in networks.items():
        print(f"{label}: {network.name}, {common.parameters(network):,} parameters", flush=True)
        if label == "teacher" and teaching.TEACHER.value:
            continue
        watchers = snapshots.watchers(folder, label, network, settings)
        if label == "student_distilled":
            trained[label] = trainer.distill(
                networks["teacher"],
                network,
                dataset,
                settings,
                temperature=teaching.TEMPERATURE.value,
                alpha=schedules.until_epoch(
                    teaching.ALPHA.value,
                    teaching.ALPHA_EPOCHS.value,
                    trainer.batch_schedule(dataset, settings).steps,
                ),
                teacher_logits=teaching.kept_logits(
                    networks["teacher"], dataset, settings, teaching.TEACHER_VIEWS.value
                ),
                folder=folder,
                label=label,
                callbacks=watchers,
            )
        else:
            trained[label] = trainer.train(
                network, dataset, settings, folder=folder, label=label, callbacks=watchers
            )
    return trained


def measure(networks, trained, dataset):
    """`{label: {measure: number}}` on test."""
    return {
        label: evaluation.evaluate(network, dataset, teacher=networks["teacher"])
        | {"parameters": common.parameters(network)}
        | {"seconds": trained[label].seconds if label in trained else None}
        for label, network in networks.items()
    }


def measure_effects(rows):
    """Drop, gain and recovery in accuracy; None where the residual twin was not trained."""
    alone, distilled = rows["student_alone"]["accuracy"], rows["student_distilled"]["accuracy"]
    twin = rows.get("teacher" if teacher_is_baseline() else "baseline")
    baseline = twin and twin["accuracy"]
    return {
        "drop": twin and statistics.drop(baseline, alone),
        "gain": statistics.gain(distilled, alone),
        "recovery": twin and statistics.recovery(baseline, alone, distilled),
    }


def draw_curves(trained, rows, folder):
    """Draws the validation accuracies, for TensorBoard and as `curves.png`."""
    figure = figures.accuracy_curves(
        {label: each.history for label, each in trained.items()},
        {label: row["accuracy"] for label, row in rows.items()},
    )
    tensorboard.write_picture(folder / "tensorboard" / "curves", "curves", figure)
    figures.write_png(figure, folder / "curves.png")


def print_summary(rows, effects):
    """The table at the end."""
    effect_of = {"student_alone": ("drop",), "student_distilled": ("gain", "recovery")}
    table = [
        common.network_row(label, row)
        | {name: console.percent(effects[name]) for name in effect_of.get(label, ())}
        for label, row in rows.items()
    ]
    columns = ("network", "test accuracy", "drop", "gain", "recovery", "agreement", "parameters", "seconds")
    console.print_table("On test, touched once", table, columns)


if __name__ == "__main__":
    console.run(main)
