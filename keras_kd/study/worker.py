"""How a study's run is trained: from the same start as its twins, on the same batches, by its teacher.

trainer = RunTrainer("digits", training.Settings(epochs=20))
records = study.run(trainer, executor)
"""

import contextlib
import dataclasses
import functools
import os

import keras

from keras_kd.data import datasets, held_out
from keras_kd.data.dataset import check_one_class
from keras_kd.distillation import controls, recipes, schedules, shortcut_removal, teacher_cache
from keras_kd.distillation.alarms import OF_TEACHER
from keras_kd.models import registry, serialization, weights
from keras_kd.study import run_folders
from keras_kd.study.run_result import RunResult
from keras_kd.training import config, evaluation, inputs, teacher_check, teacher_preprocessing, trainer
from keras_kd.training.distributed import strategy
from keras_kd.utils import progress, run_dir, seeding


@dataclasses.dataclass(frozen=True)
class RunTrainer:
    """Trains one run of a study; handed to other processes as it is.

    Attributes:
      dataset: name, as for `datasets.load`.
      settings: the `config.Settings` of all runs; a run has its own seed, weight decay and augmentation.
      data_dir, validation_fraction, cache, cache_dir, skip_bad_images: as for `datasets.load`.
      split_seed: the same for all runs: see `datasets.load`.
      folder: in which the study was begun: its relative paths, as of a teacher's file, are found from there.
    """

    dataset: str
    settings: config.Settings
    data_dir: str | None = None
    validation_fraction: float = 0.1
    split_seed: int = 0
    cache: str | None = None
    cache_dir: str | None = None
    skip_bad_images: bool = False
    folder: str = dataclasses.field(default_factory=os.getcwd)

    def load(self):
        """The dataset as all runs see it."""
        return _load(
            self.dataset,
            validation_fraction=self.validation_fraction,
            seed=self.split_seed,
            data_dir=self.data_dir,
            cache=self.cache,
            cache_dir=self.cache_dir,
            skip_bad_images=self.skip_bad_images,
        )

    def with_fitting_batch(self, runs):
        """The same, with a batch that fits the fewest training examples of a run."""
        fewest = min(len(self._subset(run).train.labels) for run in runs)
        return dataclasses.replace(self, settings=inputs.with_fitting_batch(self.settings, fewest))

    def _subset(self, run):
        return datasets.subset(self.load(), run.label_fraction, run.seed)

    def check(self, runs):
        """Loads the data and tries what could fail in some runs alone.

        Raises:
          ValueError: if a batch is larger than the training examples of some run, a class has none, a
            network that a spec names cannot be built for the images, a teacher in a file knows nothing,
            a run's loss cannot compare its networks, its shortcuts cannot be removed as it says, or an image
            of validation or test cannot be read.
        """
        for fraction in sorted({run.label_fraction for run in runs}):
            dataset = datasets.subset(self.load(), fraction, runs[0].seed)
            inputs.batch_schedule(dataset, self.settings)
        teachers = [run.teacher for run in runs if run.teacher]
        made = [each.network for each in teachers if not each.is_given]
        for spec in dict.fromkeys(each.student for each in (*runs, *made) if each.student):
            network = registry.build_for(spec, self.load())
            shortcut_removal.NoRemoval().check_student(network, independent=False)
        given = [each.network.student for each in teachers if each.is_given]
        networks = _Untrained(self.load(), self.settings)
        for path in dict.fromkeys(given):
            teacher = networks.in_file(path)
            accuracy = teacher_check.check_teacher(teacher, self.load())
            progress.say(f"teacher {path}: {accuracy:.1%} on validation")
        _check_removals(runs, networks)
        _check_losses(runs, networks)
        held_out.check_images(self.load())

    def __call__(self, run, study_folder):
        """Trains and measures a `design.Run`.

        Args:
          run: a `design.Run`.
          study_folder: of the study, where the run's folder is and its teacher's.

        Returns:
          The `RunResult`.
        """
        with contextlib.chdir(self.folder):
            return self._train(run, study_folder)

    def _train(self, run, study_folder):
        keras.backend.clear_session()
        folder = run_folders.path(study_folder, run.key)
        settings = self.settings_of(run)
        strategy.prepare(settings)
        dataset = self._subset(run)
        network = build(run, dataset, settings)
        start = weights.digest(network)
        teacher = None
        with progress.silence():
            if run.is_taught:
                teacher = teacher_network(run, dataset, settings, study_folder)
                with strategy.scope(settings), seeding.initial_weights(run.seed):
                    network = recipes.parse_spec(run.loss).student_of(teacher, network)
                trained = self._teach(teacher, network, run, dataset, settings, study_folder)
            else:
                trained = trainer.train(
                    network,
                    dataset,
                    settings,
                    shortcut_removal=shortcut_removal.parse_spec(run.shortcut_removal),
                    folder=folder,
                    label="network",
                )
        serialization.save_model(network, folder / run_dir.MODEL)
        return RunResult(
            **evaluation.evaluate(network, dataset, teacher=teacher),
            validation_accuracy=_validated(network, trained, dataset, settings),
            parameters=weights.count_parameters(network),
            start=start,
            seconds=trained.seconds,
            history=trained.history,
            notes=_notes_of(run, trained),
        )

    def settings_of(self, run):
        """The `config.Settings` of a run; with fewer examples there are more epochs, for as many steps."""
        return dataclasses.replace(
            self.settings,
            seed=run.seed,
            weight_decay=run.weight_decay,
            augmentation=run.augmentation,
            epochs=round(self.settings.epochs / run.label_fraction),
        )

    def _teach(self, teacher, network, run, dataset, settings, study_folder):
        views = settings.epochs  # as the live teacher would see them
        schedule = inputs.batch_schedule(dataset, settings, views)
        kept = teacher_cache.cache_logits(
            teacher, dataset, schedule, study_folder / "teacher_logits", dtype="float32"
        )
        return trainer.distill(
            teacher,
            network,
            dataset,
            settings,
            **recipes.parse_spec(run.loss).arguments(
                settings.epochs * schedule.steps,
                temperature=run.temperature,
                alpha=alpha_of(run, schedule.steps),
            ),
            teacher_logits=controls.control_targets(
                run.teacher.control, kept, dataset, temperature=run.temperature, seed=run.seed
            ),
            trust_teacher=True,  # it may be an untrained one
            shortcut_removal=shortcut_removal.parse_spec(run.shortcut_removal),
            folder=run_folders.path(study_folder, run.key),
            label="network",
        )


class _Untrained:
    """The networks of runs as they are before any is trained, each built once for each place that it has."""

    def __init__(self, dataset, settings):
        self.in_file = functools.cache(lambda path: file_teacher(path, dataset, settings))
        self._built = functools.cache(lambda spec, place: registry.build_for(spec, dataset))

    def teacher_of(self, run, place=1):
        """The network that teaches a run; `place` counts teachers of teachers."""
        teacher = run.teacher
        if teacher.is_given:
            return self.in_file(teacher.network.student)
        return self.student_of(teacher.network, place)

    def student_of(self, run, place=0):
        """The network that a run trains, which its loss may have put layers on."""
        network = self._built(run.spec, place)
        if not run.is_taught:
            return network
        return recipes.parse_spec(run.loss).student_of(self.teacher_of(run, place + 1), network)


def _check_losses(runs, networks):
    """Raises a ValueError for a loss that cannot compare a teacher with its student."""
    taught = [run for run in runs if run.is_taught and run.loss != recipes.KD]
    told = {(run.teacher.condition, run.spec, run.loss, run.shortcut_removal): run for run in taught}
    for run in told.values():
        teacher, student = networks.teacher_of(run), networks.student_of(run)
        trained = shortcut_removal.parse_spec(run.shortcut_removal).start(student, 1, teacher)
        try:
            recipes.parse_spec(run.loss).check(teacher, trained)
        except ValueError as error:
            raise ValueError(f"loss={run.loss!r} of {run.condition!r}: {error}") from error


def _check_removals(runs, networks):
    """Raises a ValueError for a student whose shortcuts cannot be removed so, or not by its teacher."""
    for run in {run.condition: run for run in runs if run.loses_shortcuts}.values():
        teacher = networks.teacher_of(run) if run.is_taught else None
        removal = shortcut_removal.parse_spec(run.shortcut_removal)
        try:
            removal.check(networks.student_of(run), teacher, independent=False)
        except ValueError as error:
            raise ValueError(f"{run.condition!r}: {error}") from error


@functools.lru_cache(maxsize=2)
def _load(name, **options):
    found = datasets.load(name, **options)
    check_one_class(found, "a study")
    return found


def build(run, dataset, settings):
    """The network of a run before training: for a seed the same weights with and without shortcuts.

    A run with initial weights of its own has the same as others of the seed that have such.
    """
    with strategy.scope(settings):
        keras.utils.set_random_seed(seeding.start_seed(run.seed, run.initial_weights))
        return registry.build_for(run.spec, dataset)


def teacher_network(run, dataset, settings, study_folder):
    """The network that teaches a run: of its own run's folder, of a file, or new where it is untrained."""
    teacher = run.teacher
    if teacher.is_given:
        return file_teacher(teacher.network.student, dataset, settings)
    if teacher.trained is not None:
        return serialization.load_model(run_folders.path(study_folder, teacher.trained.key) / run_dir.MODEL)
    return build(_untrained(run), dataset, settings)


def _validated(network, trained, dataset, settings):
    """Accuracy on validation of the weights that are kept, the last where no epoch is chosen."""
    if settings.early_stopping:
        return evaluation.evaluate(network, dataset, "validation")["accuracy"]
    return trained.history["val_accuracy"][-1]


def _notes_of(run, trained):
    """What is likely wrong with a run; that a control's teacher knows little is what it is for."""
    is_control = run.is_taught and run.teacher.control
    return tuple(note for note in trained.notes if not (is_control and note.startswith(OF_TEACHER)))


def _untrained(run):
    """The run that an untrained teacher is the start of, which must not be the student's own start."""
    network = dataclasses.replace(run.teacher.network, seed=run.seed)
    if network.initial_weights != run.initial_weights:
        return network
    return dataclasses.replace(network, initial_weights=seeding.OWN)


def file_teacher(path, dataset, settings):
    """The teacher in a file, as images and classes of the dataset need it; see `training.adapt_teacher`."""
    with strategy.scope(settings):
        return teacher_preprocessing.adapt_teacher(serialization.load_model(path), dataset)


def alpha_of(run, steps_per_epoch):
    """Alpha of a run: a number, or a schedule that falls to 0 when its teacher leaves."""
    return schedules.until_epoch(run.alpha, round(run.alpha_epochs / run.label_fraction), steps_per_epoch)
