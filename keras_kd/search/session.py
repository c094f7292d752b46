"""A search from its configuration to its result: teacher, trials here or at workers, the best judged."""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable

import keras

from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import compatibility, shortcut_removal
from keras_kd.models import serialization, weights
from keras_kd.search import evaluation, oracles, workers
from keras_kd.search.config import LOSSES, SHORTCUT_REMOVALS, SearchConfig
from keras_kd.search.hypermodel import DistillationHyperModel
from keras_kd.search.results import SearchResult
from keras_kd.search.space import SearchSpace
from keras_kd.search.tuner import Tuner, best_trial
from keras_kd.training import Settings, description, teacher_check, trainer
from keras_kd.training.distributed import strategy
from keras_kd.utils import progress, records


@dataclasses.dataclass(frozen=True)
class Networks:
    """Where a search's networks come from.

    Attributes:
      new_student: a function from a seed, and a spec where the student is searched, to an untrained student.
      new_teacher: a function without arguments that returns the untrained teacher.
      teacher_file: of a teacher that is there already, or None: one is trained.
      logits: a function `(teacher, settings)` that returns cached logits, or None.
      read_teacher: a function from the path of a teacher that is given to the network.
      trust_teacher: as for `training.compare`.
    """

    new_student: Callable[..., keras.Model]
    new_teacher: Callable[[], keras.Model]
    teacher_file: str | None = None
    logits: Callable | None = None
    read_teacher: Callable[[str], keras.Model] = serialization.load_model
    trust_teacher: bool = False


def space_of(config, settings):
    """The `SearchSpace` of a `SearchConfig` and the `training.Settings` of its trials.

    Raises:
      ValueError: if the default setting's alpha would fall to 0 after more epochs than there are.
    """
    fixed = config.usual.get("alpha_epochs")
    if fixed and settings.epochs < fixed:
        raise ValueError(f"alpha_epochs must be at most the {settings.epochs} epochs. Received: {fixed}")
    removes = "shortcut_removal" in config.searched
    alpha_epochs = (1, settings.epochs) if "alpha_epochs" in config.searched else fixed and (fixed, fixed)
    return SearchSpace(
        temperature=config.temperature,
        alpha=config.alpha,
        learning_rate=config.learning_rate if "learning_rate" in config.searched else None,
        alpha_epochs=alpha_epochs or None,
        teachers=config.teachers,
        students=config.students,
        shortcut_removals=config.shortcut_removals or SHORTCUT_REMOVALS if removes else (),
        losses=config.losses or LOSSES if "loss" in config.searched else (),
        loss_weight_factor=config.loss_weight_factor if "loss_weight_factor" in config.searched else None,
    )


def plan(config, settings):
    """The epochs of each trial.

    Raises:
      ValueError: for what cannot work, before anything is written.
    """
    if settings.strategy == "multiworker":
        raise ValueError(
            "a trial belongs to one host: several hosts are workers; use strategy='mirrored' in each"
        )
    return oracles.plan(config.tuner, space_of(config, settings), **_oracle_options(config, settings))


def _oracle_options(config, settings):
    return {
        "trials": config.trials,
        "objective": config.objective,
        "seed": settings.seed,
        "epochs": settings.epochs,
        "factor": config.hyperband_factor,
    }


class SearchSession:
    """A search in its folder.

    Args:
      config: a `SearchConfig`.
      settings: the `training.Settings` of all trials.
      dataset: a `keras_kd.data.Dataset`.
      networks: a `Networks`.
      folder: of the search.
      stop: a Keras callback that ends trainings at a signal, with `check(done)`.

    Raises:
      ValueError: if a teacher cannot be read, or does not fit the student.
    """

    def __init__(self, config: SearchConfig, settings: Settings, dataset, networks, folder, stop):
        self._config = config
        self._settings = settings
        self._dataset = dataset
        self._networks = networks
        self._folder = pathlib.Path(folder)
        self._stop = stop
        self.space = space_of(config, settings)
        self.hypermodel = self._hypermodel()

    def _hypermodel(self):
        """The `DistillationHyperModel`; teachers are read when first asked for."""

        @functools.cache
        def teacher(path):
            if path or self._networks.teacher_file:
                return self._networks.read_teacher(path or self._networks.teacher_file)
            return serialization.load_model(self.teacher_file)

        return DistillationHyperModel(
            self.space,
            self._dataset,
            self._settings,
            self._networks.new_student,
            teacher,
            self._networks.logits,
        )

    @property
    def teacher_file(self):
        """The teacher that is given, or the one that is trained in the folder."""
        return self._networks.teacher_file or self._folder / "teacher.keras"

    def check_networks(self):
        """Raises a ValueError for a teacher that cannot be read, does not fit, or knows other images.

        And for a way to lose shortcuts, or a loss, that cannot do with it.
        """
        seed = self._settings.seed
        new = self._networks.new_student
        students = [new(seed, spec) for spec in self.space.students] or [new(seed)]
        given = self._config.teachers or filter(None, [self._networks.teacher_file])
        with strategy.scope(self._settings):
            teachers = [self._networks.read_teacher(path) for path in given]
        ways = self.space.shortcut_removals or (shortcut_removal.NoRemoval.name,)
        removals = [shortcut_removal.parse_spec(text) for text in ways]
        independent = is_multi_label(self._dataset)
        pairs = itertools.product(teachers or [self._networks.new_teacher()], students)
        for teacher, student in pairs:
            compatibility.check_pair(teacher, student, independent=independent)
            for removal in removals:
                removal.check(student, teacher, independent=independent)
            for choice in self.space.loss_choices:
                taught = choice.usual.student_of(teacher, student)
                choice.usual.check(teacher, taught, independent=independent)
        for teacher in teachers:
            accuracy = teacher_check.check_teacher(teacher, self._dataset, trust=self._networks.trust_teacher)
            progress.say(f"teacher: {teacher.name}, {accuracy:.1%} on validation")

    def run(
        self,
        display,
        *,
        command,
        train_best="",
        worker=None,
        silence=30.0,
        patience=600.0,
        retry_failed=False,
    ):
        """Searches, alone or with workers, and measures the best setting and the default one on test.

        Args:
          display: has `show(records)` and `skip(records)`, each with `TrialRecord`s, and `epoch` as
            `Tuner`'s `on_epoch`.
          command: what was typed, for the page.
          train_best: a command that trains the best setting again, likewise.
          worker: this process's `workers.WorkerConfig`, the chief's; None: there are no workers.
          silence: seconds until a silent worker is lost.
          patience: seconds to wait without a worker.
          retry_failed: whether to try again what failed before.

        Returns:
          The `results.SearchResult`.

        Raises:
          ValueError: if no trial was trained to the end.
        """
        tuner = self._tuner(lambda record: display.show([record]), display.epoch)
        oracle = tuner.oracle
        if oracle.path.exists():
            oracle.reload()
            if retry_failed:
                oracle.retry_failed()
            display.skip(tuner.records())
        if worker:
            self._lead(tuner, worker, display, silence, patience)
        else:
            self._train_teacher()
            tuner.search()
        best = self._best(tuner)
        result = self._describe(tuner, best, command)
        return evaluation.judge(
            self._folder,
            result,
            self.hypermodel,
            self._dataset,
            self._stop,
            tuner.folder_of(best.trial),
            self._config,
            train_best,
        )

    def work(self, worker, show, silence=30.0):
        """What a worker does: trains what the chief hands out, until nothing is left.

        Args:
          worker: this process's `workers.WorkerConfig`.
          show: is called with each `TrialRecord` of its own.
          silence: seconds after which the chief takes a silent worker for lost.
        """
        tuner = self._tuner(show)
        with workers.Heartbeat(worker, tuner, silence):
            tuner.search()

    def _tuner(self, show, on_epoch=None):
        oracle = oracles.make_oracle(
            self._config.tuner,
            self.space,
            path=self._folder / "search.json",
            **_oracle_options(self._config, self._settings),
        )
        seeds = self._config.seeds(self._settings.seed)
        return Tuner(oracle, self.hypermodel, self._folder, seeds, [self._stop], show, on_epoch)

    def _train_teacher(self):
        """Trains the teacher if no file is given and it is not there yet."""
        if self._config.teachers or pathlib.Path(self.teacher_file).is_file():
            return
        network = self._networks.new_teacher()
        count = weights.count_parameters(network)
        progress.say(f"teacher: {network.name}, {count:,} parameters")
        trainer.train(
            network,
            self._dataset,
            self._settings,
            folder=self._folder,
            label="teacher",
            callbacks=[self._stop],
        )
        serialization.save_model(network, self._folder / "teacher.keras")

    def _lead(self, tuner, worker, display, silence, patience):
        """What the chief does until all trials have ended."""
        progress.say(f"chief: workers are waited for at {worker.place}")

        def look():
            display.show(tuner.records())
            self._stop.check(f"{len(tuner.oracle.end_order)} trials done")

        workers.run_chief(
            tuner,
            tuner.oracle,
            worker,
            prepare=self._train_teacher,
            watch=look,
            silence=silence,
            patience=patience,
        )

    def _best(self, tuner):
        trials = tuner.records()
        best = best_trial(trials, self._settings.epochs, tuner.oracle.objective.direction)
        if best is None:
            reason = next((record.error for record in trials if record.error), "none was trained to the end")
            raise ValueError(f"no trial of {len(trials)} has a score: {reason}")
        total = len(plan(self._config, self._settings))
        if len(trials) < total:
            progress.say(f"{len(trials)} trials in place of {total}: there was nothing else to try")
        return best

    def _describe(self, tuner, best, command):
        """The `SearchResult` before test is touched."""
        space = self.space
        return SearchResult(
            command=command,
            tuner=self._config.tuner,
            objective=oracles.OBJECTIVES[self._config.objective][0],
            direction=tuner.oracle.objective.direction,
            space={name: list(space.values_of(name)) for name in space.names},
            epochs=self._settings.epochs,
            seeds=tuple(self._config.seeds(self._settings.seed)),
            trials=tuple(map(records.finite, tuner.records())),
            best=records.finite(best),
            description=description.describe(self._dataset, self._settings),
        )
