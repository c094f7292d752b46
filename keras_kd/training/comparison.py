"""A teacher, the student alone and the student distilled, trained and measured side by side.

comparison = keras_kd.training.compare(teacher, alone, distilled, dataset, settings, folder="runs/mine")
print(comparison.effects.gain)
"""

import dataclasses
import pathlib

import keras
import numpy as np

from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import compatibility, recipes, schedules
from keras_kd.distillation.distiller import Distiller
from keras_kd.distillation.shortcut_removal import NoRemoval
from keras_kd.distillation.terms import weighted
from keras_kd.models import inference, serialization, weights
from keras_kd.reporting import charts, figures, tensorboard, training_curves
from keras_kd.training import evaluation, inputs, teacher_check
from keras_kd.training.distributed import strategy
from keras_kd.training.labels import ALONE, BASELINE, DISTILLED, TEACHER, network_file, removal_label
from keras_kd.training.trainings import Trainings, check_jobs
from keras_kd.utils import files, progress, records, recovery, seeding


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkResult:
    """One network, measured on test.

    Attributes:
      accuracy: share of examples, in [0, 1].
      loss: mean cross-entropy, in nats; infinite, in JSON None, where the network rules out a labelled class.
      agreement: share of examples for which it names the teacher's class; None without a teacher.
      parameters: see `models.weights.count_parameters`.
      seconds: of its training; None if it was trained before.
    """

    accuracy: float
    loss: float | None
    agreement: float | None = None
    parameters: int
    seconds: float | None

    def to_json(self):
        values = files.plain_values(self)
        return {name: value for name, value in values.items() if name != "agreement" or value is not None}

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)


@dataclasses.dataclass(frozen=True)
class Effects:
    """Differences of test accuracies, and their 95 % intervals over the test images of this one training.

    Attributes:
      drop: twin minus student alone: what the shortcuts are worth; None where the student's residual twin is
        not among the networks.
      gain: student distilled minus student alone: what the teacher is worth.
      recovery: gain / drop; None where the drop's interval does not lie above 0.
      drop_interval, gain_interval, recovery_interval: `(low, high)`, or None likewise; see
        `recovery.over_images`. All are None in results of earlier versions.
      test_images: how many there are.
    """

    drop: float | None
    gain: float
    recovery: float | None
    drop_interval: tuple[float, float] | None = None
    gain_interval: tuple[float, float] | None = None
    recovery_interval: tuple[float, float] | None = None
    test_images: int | None = None

    @classmethod
    def of_recovery(cls, found, has_twin, test_images):
        """From a `recovery.Recovery`; without a twin there is no drop."""
        return cls(
            drop=found.drop.mean if has_twin else None,
            gain=found.gain.mean,
            recovery=found.ratio if found.is_defined else None,
            drop_interval=(found.drop.low, found.drop.high) if has_twin else None,
            gain_interval=(found.gain.low, found.gain.high),
            recovery_interval=(found.low, found.high) if found.is_defined else None,
            test_images=test_images,
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` returns.

    Attributes:
      models: `{label: keras.Model}`, trained; empty where the rest was read from a file.
      networks: `{label: NetworkResult}`.
      effects: an `Effects`.
      removal_effects: the same of the student that lost its shortcuts in training, in place of the one that
        was distilled without any; None where there is none.
      history: `{label: {metric: [value per epoch]}}` of those that were trained here.
      notes: `{label: sentences}` on what is likely wrong, of those of which there are any.
    """

    models: dict[str, keras.Model]
    networks: dict[str, NetworkResult]
    effects: Effects
    history: dict[str, dict[str, list[float]]]
    removal_effects: Effects | None = None
    notes: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def to_json(self):
        """As plain values: `networks`, `effects`, `removal_effects`, `history` and `notes`."""
        return {
            "networks": {label: row.to_json() for label, row in self.networks.items()},
            "effects": dataclasses.asdict(self.effects),
            "removal_effects": self.removal_effects and dataclasses.asdict(self.removal_effects),
            "history": files.plain_values(self.history),
            "notes": self.notes,
        }

    @classmethod
    def from_json(cls, values):
        """The numbers of a run's `result.json`, without models."""
        return records.from_json(cls, values | {"models": {}})


def no_callbacks(label, network):
    """Of `compare`: none."""
    return ()


def compare(
    teacher,
    student_alone,
    student_distilled,
    dataset,
    settings,
    *,
    train_teacher=True,
    teacher_accuracy=None,
    trust_teacher=False,
    baseline=None,
    student_removed=None,
    shortcut_removal=None,
    loss=recipes.KD,
    temperature=4.0,
    alpha=0.9,
    alpha_epochs=0,
    terms=(),
    teacher_logits=None,
    folder=None,
    callbacks=no_callbacks,
    jobs=1,
    while_waiting=lambda: None,
    checked=False,
):
    """Trains a teacher, a student alone and the same student distilled; measures each on test, once.

    Called again with the same folder it goes on after the last epoch that was saved there.

    Args:
      teacher: a classifier, made inside `strategy.scope(settings)`.
      student_alone, student_distilled: untrained, and alike: of the same layers and initial weights.
      dataset: a `keras_kd.data.Dataset`.
      settings: a `keras_kd.training.Settings`, for all networks.
      train_teacher: whether the teacher is trained first; if not it is measured on validation first.
      teacher_accuracy: on test, in [0, 1], that was noted when such a teacher was trained, or None.
      trust_teacher: whether such a teacher teaches also where it is at chance, or below that; a line says so.
      baseline: the student's residual twin, which drop and recovery refer to: "teacher" if the teacher is it,
        an untrained `keras.Model`, or None.
      student_removed: a third like those two, which is distilled by `shortcut_removal`; None: there is none.
      shortcut_removal: a `keras_kd.distillation.shortcut_removal.ShortcutRemoval`.
      loss: a `keras_kd.distillation.recipes.Recipe`, or its text such as "dkd" or "kd+at".
      temperature, alpha: of kd, as for `keras_kd.Distiller`; terms: further ones, likewise.
      alpha_epochs: alpha falls to 0 after so many epochs; 0: it stays.
      teacher_logits: a function from the trained teacher to its `TeacherTargets` (such as cached logits), or
        None: it is asked at each step.
      folder: gets the networks, curves and all that `train` writes; None writes nothing.
      callbacks: a function from a network's label and the network to further Keras callbacks.
      jobs: networks at a time, 1 or 2. With 2 a second process trains some of them, in the same folder: what
        is given, such as `callbacks`, must be able to go there. No number changes. Faster where a network is
        too small to keep two cores busy.
      while_waiting: is called now and then while the second process alone works; what it raises ends that.
      checked: whether `check_networks` saw these networks already.

    Returns:
      A `Comparison`; None on each host but the chief.

    Raises:
      ValueError: see `train`, `distill` and, for a trained teacher, `teacher_check.check_teacher`; for two
        jobs without a folder or on other than one device.
    """
    check_jobs(jobs, folder, settings)
    recipe, students = recipes.as_recipe(loss), (student_alone, student_distilled, student_removed)
    if not checked:
        check_networks(teacher, *students, dataset, loss=recipe, shortcut_removal=shortcut_removal)
    terms, removals = weighted(terms), {DISTILLED: None}
    if student_removed is not None:
        removals[removal_label(shortcut_removal)] = shortcut_removal
    models = {TEACHER: teacher} | ({BASELINE: baseline} if isinstance(baseline, keras.Model) else {})
    models |= {ALONE: student_alone, DISTILLED: student_distilled}
    models |= {label: student_removed for label in removals if label != DISTILLED}
    if not train_teacher:
        accuracy = teacher_check.check_teacher(
            teacher, dataset, recorded=teacher_accuracy, trust=trust_teacher
        )
        progress.say(f"{TEACHER}: {teacher.name}, {accuracy:.1%} on validation")

    steps = inputs.batch_schedule(dataset, settings).steps
    alpha_now = schedules.until_epoch(alpha, alpha_epochs, steps)
    taught = recipe.arguments(settings.epochs * steps, temperature=temperature, alpha=alpha_now)
    taught["terms"] += terms
    _check_losses(teacher, student_distilled, settings, taught)
    options = {"folder": folder, "callbacks": callbacks, "teacher_logits": teacher_logits}
    trainings = Trainings(dataset, settings, removals=removals, distillation=taught, **options)
    known = () if train_teacher else (TEACHER,)
    trained = trainings.run(models, known) if jobs == 1 else trainings.run_two(models, known, while_waiting)
    if not strategy.is_chief(settings):
        return None
    comparison = _measured(models, trained, dataset, "teacher" if baseline == "teacher" else BASELINE)
    if folder is not None:
        hparams = {"temperature": temperature, "alpha": alpha, "training/alpha_epochs": alpha_epochs}
        hparams |= {"loss": recipe.text, "shortcut_removal": (shortcut_removal or NoRemoval()).name}
        _write(comparison, pathlib.Path(folder), dataset, settings, hparams)
    return comparison


def check_networks(
    teacher,
    student_alone,
    student_distilled,
    student_removed,
    dataset,
    *,
    loss=recipes.KD,
    shortcut_removal=None,
):
    """Raises a ValueError for networks that `compare` refuses, with its arguments."""
    independent = is_multi_label(dataset)
    compatibility.check_pair(teacher, student_distilled, independent=independent)
    recipes.as_recipe(loss).check(teacher, student_distilled, independent=independent)
    removal = shortcut_removal or NoRemoval()
    if (student_removed is None) != (removal.name == NoRemoval.name):
        raise ValueError(
            "student_removed and a shortcut_removal other than 'none' go together. Received: "
            f"student_removed={student_removed!r}, shortcut_removal={shortcut_removal!r}"
        )
    NoRemoval().check_student(student_alone, independent=independent)
    if student_removed is not None:
        removal.check(student_removed, teacher, independent=independent)


def _check_losses(teacher, student, settings, taught):
    """Raises the ValueErrors of the Distiller of a training to come; `taught`: its further arguments."""
    with strategy.scope(settings), seeding.initial_weights(settings.seed):
        Distiller(teacher, student, **taught).check_batch(settings.batch_size)


def _measured(models, trained, dataset, twin):
    networks, labels = {}, dataset.test.labels
    logits = {label: inference.logits(model, dataset, "test") for label, model in models.items()}
    right = {label: inference.right_answers(answers, labels) for label, answers in logits.items()}
    for label, model in models.items():
        networks[label] = NetworkResult(
            **evaluation.measures(logits[label], labels, logits[TEACHER]),
            parameters=weights.count_parameters(model),
            seconds=trained[label].seconds if label in trained else None,
        )
    history = {label: each.history for label, each in trained.items()}
    removed = [label for label in models if label not in (TEACHER, BASELINE, ALONE, DISTILLED)]
    effects = [effects_of(right, twin, label) for label in (DISTILLED, *removed)]
    notes = {label: each.notes for label, each in trained.items() if each.notes}
    return Comparison(models, networks, effects[0], history, *effects[1:], notes=notes)


def effects_of(right, twin, distilled=DISTILLED):
    """The `Effects` of networks of one training.

    Args:
      right: `{label: bool [n]}`, labels of `training.labels`: whether each classifies each image right; or
        bool `[n, classes]` of yes or no of each class, whose differences have no intervals here.
      twin: label of the student's residual twin, which need not be there.
      distilled: label of the student whose gain and recovery are meant.
    """
    has_twin = twin in right
    if np.ndim(right[ALONE]) == 2:  # decisions about one image are not independent of each other
        mean = {label: float(np.mean(values)) for label, values in right.items()}
        drop = mean[twin] - mean[ALONE] if has_twin else None
        return Effects(drop, mean[distilled] - mean[ALONE], recovery=None)
    found = recovery.over_images(right.get(twin, right[ALONE]), right[ALONE], right[distilled])
    return Effects.of_recovery(found, has_twin, len(right[ALONE]))


def _write(comparison, folder, dataset, settings, hparams):
    """The networks, samples, curves and hyperparameters, in the folder of a run."""
    for label, model in comparison.models.items():
        serialization.save_model(model, folder / network_file(label))
    teacher, student = (comparison.models[label].name for label in (TEACHER, DISTILLED))
    names = {"networks": f"{teacher} teaches {student}"}
    numbers = comparison.to_json()
    accuracies = {label: row.accuracy for label, row in comparison.networks.items()}
    effects = numbers["removal_effects"] or numbers["effects"]
    final = {"accuracy": accuracies[list(accuracies)[-1]]} | {
        name: effects[name] for name in ("gain", "drop", "recovery")
    }
    tensorboard.write_run(folder, dataset, settings, hparams | names, final, numbers["networks"])
    curves = charts.to_matplotlib(training_curves.chart(comparison.history, accuracies))
    tensorboard.write_picture(folder, "curves", curves)
    figures.write_png(curves, folder / "curves.png")
