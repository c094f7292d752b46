"""How a study's run is trained: from the same start as its twins, on the same batches, by its mentor.

work = Trainer("digits", training.Settings(epochs=20))
study.run(work, pool)
"""

import dataclasses
import functools
import math

import keras

from keras_kd import (
    checkpoints,
    datasets,
    devices,
    mentors,
    optimization,
    progress,
    resnet,
    storage,
    teachers,
    training,
)

MODEL = "model.keras"

# An untrained mentor must not be the trainee's own start.
_OTHER_SEED = 1_000_003


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Trains one run of a study; handed to other processes as it is.

    Attributes:
      dataset: name, as for `datasets.load`.
      settings: the `training.Settings` of all runs; a run has its own seed, weight decay and augmentation.
      data_dir, validation_fraction: as for `datasets.load`.
    """

    dataset: str
    settings: training.Settings
    data_dir: str | None = None
    validation_fraction: float = 0.1

    def load(self, seed):
        """The dataset as runs of a seed see it."""
        return _load(self.dataset, self.validation_fraction, seed, self.data_dir)

    def check(self, runs):
        """Loads the data and tries what could fail in some runs alone.

        Raises:
          ValueError: if a batch is larger than the training examples of some run, or a class has none.
        """
        for fraction in sorted({run.label_fraction for run in runs}):
            dataset = datasets.fewer(self.load(runs[0].seed), fraction, runs[0].seed)
            training.plan(dataset, self.settings)

    def __call__(self, run, study_folder):
        """Trains and measures a `study.Run`.

        Args:
          run: a `study.Run`.
          study_folder: of the study, where the run's folder is and its mentor's.

        Returns:
          The result: test accuracy and loss, measured once, after the last epoch; agreement with the mentor;
          and how the training went.
        """
        keras.backend.clear_session()
        folder = study_folder / "runs" / run.key
        settings = self.settings_of(run)
        devices.prepare(settings)
        dataset = datasets.fewer(self.load(run.seed), run.label_fraction, run.seed)
        network = build(run, dataset, settings)
        start = checkpoints.digest(network)
        mentor = None
        with progress.silence():
            if run.is_taught:
                mentor = mentor_network(run, dataset, settings, study_folder)
                trained = self._teach(mentor, network, run, dataset, settings, study_folder)
            else:
                trained = training.train(network, dataset, settings, folder=folder, label="network")
        storage.save_model(network, folder / MODEL)
        return {
            **training.evaluate(network, dataset, teacher=mentor),
            "validation_accuracy": trained.history["val_accuracy"][-1],
            "parameters": sum(math.prod(weight.shape) for weight in network.trainable_weights),
            "start": start,
            "seconds": trained.seconds,
            "history": trained.history,
        }

    def settings_of(self, run):
        """The `training.Settings` of a run; with fewer examples there are more epochs, for as many steps."""
        return dataclasses.replace(
            self.settings,
            seed=run.seed,
            weight_decay=run.weight_decay,
            augmentation=run.augmentation,
            epochs=round(self.settings.epochs / run.label_fraction),
        )

    def _teach(self, mentor, network, run, dataset, settings, study_folder):
        plan = training.plan(dataset, settings, views=settings.epochs)  # as the live teacher would see them
        kept = teachers.keep(mentor, dataset, plan, study_folder / "teacher_logits", dtype="float32")
        return training.distill(
            mentor,
            network,
            dataset,
            settings,
            temperature=run.temperature,
            alpha=alpha_of(run, plan.steps),
            teacher_logits=mentors.taught(
                run.mentor.control, kept, dataset, temperature=run.temperature, seed=run.seed
            ),
            folder=study_folder / "runs" / run.key,
            label="network",
        )


@functools.lru_cache(maxsize=2)
def _load(name, validation_fraction, seed, data_dir):
    return datasets.load(name, validation_fraction=validation_fraction, seed=seed, data_dir=data_dir)


def build(run, dataset, settings):
    """The network of a run before training: for a seed the same weights with and without shortcuts."""
    with devices.scope(settings):
        keras.utils.set_random_seed(run.seed)
        return resnet.cifar_resnet(
            run.depth,
            dataset.image_shape,
            dataset.num_classes,
            width=run.width,
            shortcuts=run.has_shortcuts,
            dropout=run.dropout,
        )


def mentor_network(run, dataset, settings, study_folder):
    """The network that teaches a run: read from its own run's folder, or new where it is untrained."""
    mentor = run.mentor
    if mentor.trained is not None:
        return storage.load_model(study_folder / "runs" / mentor.trained.key / MODEL)
    return build(dataclasses.replace(mentor.network, seed=run.seed + _OTHER_SEED), dataset, settings)


def alpha_of(run, steps_per_epoch):
    """Alpha of a run: a number, or a schedule that falls to 0 when its mentor leaves."""
    return optimization.until_epoch(run.alpha, round(run.mentor_epochs / run.label_fraction), steps_per_epoch)
