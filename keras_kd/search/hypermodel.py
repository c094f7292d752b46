"""A distillation as keras-tuner builds and trains it."""

import contextlib
import dataclasses

import keras
import keras_tuner

from keras_kd.distillation import recipes, schedules, shortcut_removal
from keras_kd.distillation.distiller import Distiller
from keras_kd.training import inputs, trainer, weights_at_end
from keras_kd.training.distributed import strategy
from keras_kd.utils import seeding

MEASURES = ("val_accuracy", "val_hard_loss")

LABEL = "student"


class DistillationHyperModel(keras_tuner.HyperModel):
    """A student taught by a teacher, at the temperature and alpha that keras-tuner chooses.

    Where the space has ways to lose shortcuts, the student is what the chosen one leaves of the network that
    is trained in its place.

    Args:
      space: a `space.SearchSpace`.
      dataset: a `keras_kd.data.Dataset`.
      settings: the `config.Settings` of all trials, with the epochs of one that is trained to the end.
      student: a function from a seed, and a spec where the space has several, to a new student.
      teacher: a function from a path, or None where the space has no choice, to the teacher.
      logits: a function `(teacher, settings)` that returns the teacher's logits, as
        `teacher_cache.cache_logits` does; None asks it at each step.
    """

    def __init__(self, space, dataset, settings, student, teacher, logits=None):
        super().__init__()
        self.space = space
        self.settings = settings
        self._dataset = dataset
        self._student = student
        self._teacher = teacher
        self._logits = logits

    def build(self, hp, seed=None):
        """The untrained `Distiller` of a trial.

        Args:
          hp: a `keras_tuner.HyperParameters`.
          seed: of the student's weights; None: the settings' own.
        """
        return self.distiller(self.space.declare(hp), self.settings.seed if seed is None else seed)

    def distiller(self, values, seed):
        """The untrained `Distiller` of a setting.

        Args:
          values: `{name: value}`: "temperature" and "alpha", and further names of the space.
          seed: of the student's weights.
        """
        with strategy.scope(self.settings):
            teacher = self._teacher(values.get("teacher"))
            student = self._student(seed, values["student"]) if "student" in values else self._student(seed)
            with seeding.initial_weights(seed):
                student = recipes.of_setting(values).student_of(teacher, student)
                return Distiller(teacher, student, **self._taught(values))

    def _taught(self, values):
        steps = inputs.batch_schedule(self._dataset, self.settings).steps
        alpha = schedules.until_epoch(values["alpha"], values.get("alpha_epochs", 0), steps)
        recipe = recipes.of_setting(values)
        return recipe.arguments(self.settings.epochs * steps, temperature=values["temperature"], alpha=alpha)

    def fit(
        self,
        hp,
        model,
        *,
        seed=None,
        epochs=None,
        folder=None,
        callbacks=(),
        verbose=0,
        on_epoch=None,
    ):
        """Trains the student of a `Distiller` that `build` built.

        Args:
          hp: a `keras_tuner.HyperParameters`.
          model: the `Distiller`.
          seed: of order and augmentation; None: the settings' own.
          epochs: after which to stop; the schedules remain those of the settings' epochs. None: all of them.
          folder, callbacks: as for `trainer.distill`.
          verbose: not used; keras-tuner's own tuners hand it on.
          on_epoch: called after each epoch with the number of those done.

        Returns:
          `{measure: number}` of `MEASURES` after the last of these epochs, or after the best on validation
          where the settings' `early_stopping` keeps that.
        """
        values = self.space.declare(hp)
        seed = self.settings.seed if seed is None else seed
        return self.train(values, model, seed, epochs, folder, callbacks, on_epoch)

    def train(self, values, distiller, seed, epochs=None, folder=None, callbacks=(), on_epoch=None):
        """As `fit`, for a setting as `distiller` takes it."""
        settings = dataclasses.replace(
            self.settings, seed=seed, learning_rate=values.get("learning_rate", self.settings.learning_rate)
        )
        until = StopAfterEpochs(epochs or settings.epochs, on_epoch)
        removal = values.get("shortcut_removal")
        removal = None if removal is None else shortcut_removal.parse_spec(removal)
        logits = self._logits and self._logits(distiller.teacher, settings)
        with contextlib.suppress(_Reached):
            trainer.distill(
                distiller.teacher,
                distiller.student,
                self._dataset,
                settings,
                **self._taught(values),
                teacher_logits=logits,
                trust_teacher=True,
                shortcut_removal=removal,
                folder=folder,
                label=LABEL,
                callbacks=[until, *callbacks],
            )
        loses_shortcuts = removal is not None and removal.changes_function
        return until.measured(weights_at_end.selects_epoch(settings, loses_shortcuts))


class StopAfterEpochs(keras.callbacks.Callback):
    """Stops before an epoch, as a kill would: the checkpoint says that the training goes on.

    Args:
      epochs: how many to train.
      on_epoch: called after each with the number of those done; None: nobody is told.

    Attributes:
      history: `[[value of each of MEASURES] per epoch]`, kept with the checkpoint.
    """

    def __init__(self, epochs, on_epoch=None):
        super().__init__()
        self._epochs = epochs
        self._on_epoch = on_epoch
        self.history = []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch >= self._epochs:
            raise _Reached

    def on_epoch_end(self, epoch, logs=None):
        self.history.append([float(logs[name]) for name in MEASURES])
        if self._on_epoch:
            self._on_epoch(epoch + 1)

    def measured(self, selects):
        """`{measure: number}` after the epoch that is kept of those asked for; an early end leaves fewer.

        Args:
          selects: whether the best on validation is kept: see `weights_at_end.selects_epoch`.
        """
        done = self.history[: self._epochs]
        kept = weights_at_end.kept_epoch([accuracy for accuracy, _ in done], selects)
        return dict(zip(MEASURES, done[kept], strict=True))


class _Reached(Exception):  # noqa: N818
    """No error: the epochs that were asked for are done."""
