"""The trainings of a comparison's networks, one after the other or two at a time."""

import dataclasses
import pathlib
from collections.abc import Callable

from keras_kd.data.dataset import Dataset
from keras_kd.models import weights
from keras_kd.training import config, second_process, trainer
from keras_kd.training.distributed import strategy
from keras_kd.training.labels import ALONE, BASELINE, DISTILLED, TEACHER
from keras_kd.training.networks_line import NetworksLine
from keras_kd.utils import limits, progress


@dataclasses.dataclass(frozen=True)
class Trainings:
    """How the networks of a comparison are trained; can be sent to another process.

    Attributes:
      dataset, settings, folder, callbacks, teacher_logits: as for `comparison.compare`.
      removals: `{label: ShortcutRemoval or None}` of the students that are distilled.
      distillation: further arguments of `trainer.distill`.
    """

    dataset: Dataset
    settings: config.Settings
    _: dataclasses.KW_ONLY
    folder: pathlib.Path | str | None
    callbacks: Callable
    removals: dict
    teacher_logits: Callable | None
    distillation: dict

    def __call__(self, label, model, teacher=None):
        """Trains a network, with the teacher if it is to be distilled; returns a `trainer.Trained`."""
        options = {"folder": self.folder, "label": label, "callbacks": self.callbacks(label, model)}
        if label not in self.removals:
            return trainer.train(model, self.dataset, self.settings, **options)
        options |= self.distillation | {"shortcut_removal": self.removals[label]}
        options["teacher_logits"] = self.teacher_logits and self.teacher_logits(teacher)
        options["trust_teacher"] = True  # it was trained here, or measured before
        return trainer.distill(teacher, model, self.dataset, self.settings, **options)

    def run(self, models, known=()):
        """Trains networks one after the other.

        Args:
          models: `{label: keras.Model}`, the teacher first.
          known: labels of those that are trained already.

        Returns:
          `{label: Trained}` of the others.
        """
        trained = {}
        with self._line(models, known) as line:
            for label in models:
                self._train_here(label, models, known, trained, line)
        return trained

    def run_two(self, models, known=(), while_waiting=lambda: None):
        """The same, two at a time: beside teacher and distilled student the other students are trained.

        Args:
          models, known: as for `run`.
          while_waiting: see `comparison.compare`.
        """
        beside = [label for label in models if label not in (TEACHER, BASELINE, DISTILLED)]
        trained = {}
        with second_process.SecondProcess() as second, self._line(models, known) as line:
            second.begin(self, ALONE, models[ALONE])
            self._train_here(TEACHER, models, known, trained, line)
            for label in beside[1:]:
                second.begin(self, label, models[label], models[TEACHER])
            for label in (label for label in models if label not in (TEACHER, *beside)):
                self._train_here(label, models, known, trained, line)
            for label in beside:
                second.wait(label, lambda: (line.look(), while_waiting()))
                self._train_here(label, models, known, trained, line)
        return {label: trained[label] for label in models if label in trained}

    def _line(self, models, known):
        labels = [label for label in models if label not in known]
        is_shown = strategy.is_chief(self.settings)
        return NetworksLine(labels, [self.folder], self.settings.epochs, is_shown)

    def _train_here(self, label, models, known, trained, line):
        """Adds what became of a network to `trained`, unless it is known."""
        model = models[label]
        progress.say(f"{label}: {model.name}, {weights.count_parameters(model):,} parameters")
        if label not in known:
            trained[label] = self(label, model, models[TEACHER])
            line.end(label)


def check_jobs(jobs, folder, settings):
    """Raises a ValueError where networks cannot be trained so many at a time; arguments as for `compare`."""
    limits.NETWORKS_AT_A_TIME.check("jobs", jobs)
    if jobs > 1 and (folder is None or not _is_one_device(settings)):
        raise ValueError(
            f"two jobs need a folder, where they meet, and one device. Received: jobs={jobs!r}, "
            f"folder={folder!r}, strategy={settings.strategy!r}"
        )


def _is_one_device(settings):
    return settings.strategy in ("auto", "none") and strategy.parts_of_batch(settings) == 1
