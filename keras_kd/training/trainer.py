"""`train` on labels alone, `distill` from a teacher, `evaluate` on a split.

settings = training.Settings(epochs=30)
with strategy.scope(settings):
    student = keras_kd.cifar_resnet(32, dataset.image_shape, shortcuts=False)
training.distill(teacher, student, dataset, settings, temperature=4.0, alpha=0.9)
"""

import contextlib
import dataclasses
import pathlib

from keras_kd.data import device_images
from keras_kd.data.dataset import is_multi_label
from keras_kd.distillation import compatibility, several_teachers
from keras_kd.distillation.alarms import DistillationAlarms
from keras_kd.distillation.distiller import Distiller
from keras_kd.distillation.terms import check_independent, weighted
from keras_kd.models import batch_norm, outputs, weights
from keras_kd.training import (
    checkpointing,
    config,
    epoch_log,
    inputs,
    optimizers,
    ready_distiller,
    teacher_check,
    weights_at_end,
)
from keras_kd.training.callbacks import (
    Checkpoint,
    EpochLog,
    LogSettings,
    ProgressBar,
    StopOnDivergence,
    TensorBoardCurves,
)
from keras_kd.training.distributed.strategy import check_made_here, is_chief, prepare, scope
from keras_kd.training.fit import fit, steps_per_execution
from keras_kd.training.without_shortcuts import in_place_of, removal_identity
from keras_kd.utils import backend, progress


@dataclasses.dataclass(frozen=True)
class Trained:
    """What `train` and `distill` return.

    Attributes:
      history: `{metric: [value per epoch]}`.
      seconds: wall-clock time of training.
      notes: sentences on what is likely wrong with a distillation, which were said while it trained.
    """

    history: dict[str, list[float]]
    seconds: float
    notes: tuple[str, ...] = ()


def train(model, dataset, settings, *, shortcut_removal=None, folder=None, label=None, callbacks=()):
    """Trains a network on the labels alone.

    Called again with the same folder it goes on after the last epoch that was saved there.

    Args:
      model: a classifier, made inside `strategy.scope(settings)`.
      dataset: a `keras_kd.data.Dataset`.
      settings: a `Settings`.
      shortcut_removal: a `keras_kd.distillation.shortcut_removal.ShortcutRemoval`: another network is trained
        in the place of `model`, which has no shortcuts and gets what is left of it; None trains it as it is.
      folder: of the run: gets `log.txt`, `LABEL/` (of TensorBoard) and `checkpoints/LABEL.*.npz`.
        None writes nothing and goes on from nothing.
      label: what the network is called there; its own name if None.
      callbacks: further Keras callbacks. What they hold in public attributes (numbers, text,
        arrays) is saved and restored with the rest, as `EarlyStopping` needs it. On several
        hosts each calls them: those that write belong to the one where `strategy.is_chief(settings)`.
        Their `model` is what is trained: with images on the device, a model around the network. With a
        `shortcut_removal` it is not `model`, so `restore_best_weights` does not reach that; an end before
        the gates are closed leaves a network that was never trained without shortcuts, and is noted.

    Returns:
      A `Trained`.

    Raises:
      ValueError: for a network that `shortcut_removal` cannot do with; if what the folder holds is damaged or
        of another training.
      TrainingDivergedError: when the loss becomes NaN or infinite; what was saved stays.
      UnequalNetworksError: if what is left without shortcuts does not compute what was trained.
    """
    inputs.check_given(model, dataset, settings, shortcut_removal)
    data = inputs.training_data(dataset, settings)
    network, _, watchers = in_place_of(model, shortcut_removal, dataset, settings)
    with scope(settings):
        scores = outputs.with_logits(network, independent=is_multi_label(dataset))
        fed, images = scores, inputs.device_images_of(data, settings)
        fed = fed if images is None else device_images.with_device_input(fed, images)
    training = _Training(
        fed,
        network,
        data,
        settings,
        folder=folder,
        label=label or model.name,
        callbacks=callbacks,
        watchers=watchers,
        identity=removal_identity(shortcut_removal, network),
    )
    return training.run()


def distill(
    teacher,
    student,
    dataset,
    settings,
    *,
    temperature=4.0,
    alpha=0.9,
    label_weight=None,
    terms=(),
    teacher_weights=None,
    teacher_average="probabilities",
    teacher_logits=None,
    trust_teacher=False,
    shortcut_removal=None,
    folder=None,
    label=None,
    callbacks=(),
):
    """Trains a student on the labels and on a teacher's logits.

    Called again with the same folder it goes on after the last epoch that was saved there.

    Args:
      teacher: a classifier, made inside `strategy.scope(settings)`, or a list of such.
      student: another; it is trained in place.
      dataset, settings, shortcut_removal, folder, label, callbacks: as for `train`.
      temperature, alpha, label_weight, terms, teacher_weights, teacher_average: as for `keras_kd.Distiller`.
      teacher_logits: what `teacher_cache.cache_logits` returned for this teacher, dataset, augmentation and
        seed; of a list of teachers for each of them, a list. The teacher is not asked again, and epoch e
        shows view e mod `teacher_logits.views`. None asks it at each step, under a new view in each epoch.
      trust_teacher: whether the teacher is not measured first: see `teacher_check.check_teacher`.

    Returns:
      A `Trained`.

    Raises:
      ValueError: see `keras_kd.Distiller` and `train`; if the logits are not those of this teacher and
        training; for a teacher that `shortcut_removal` cannot do with.
      TrainingDivergedError, UnequalNetworksError: see `train`.
    """
    of_several = {"weights": teacher_weights, "average": teacher_average, "temperature": temperature}
    terms = weighted(terms)
    teachers, teacher = teacher, several_teachers.one_teacher(teacher, **of_several)
    compatibility.check_pair(teacher, student, independent=is_multi_label(dataset))
    inputs.check_given(student, dataset, settings, shortcut_removal, "student")
    if teacher_logits is not None:
        if isinstance(teacher_logits, (list, tuple)):
            teacher_logits = several_teachers.AveragedTargets(teacher_logits, **of_several)
        else:
            teachers = teacher
        schedule = inputs.batch_schedule(dataset, settings, teacher_logits.views)
        teacher_logits.check(teachers, dataset, schedule)
    if not trust_teacher:
        teacher_check.check_teacher(teacher, dataset, kept=teacher_logits)
    network, of_removal, watchers = in_place_of(student, shortcut_removal, dataset, settings, teacher)
    data = inputs.training_data(dataset, settings, teacher_logits)
    loss = {"temperature": temperature, "alpha": alpha, "label_weight": label_weight}
    loss["terms"] = [*terms, *of_removal]
    if is_multi_label(dataset):
        check_independent(loss["terms"])
    distiller = ready_distiller.ready_distiller(teacher, network, data, settings, teacher_logits, loss)
    training = _Training(
        distiller,
        network,
        data,
        settings,
        folder=folder,
        label=label or student.name,
        callbacks=callbacks,
        watchers=watchers,
        identity=removal_identity(shortcut_removal, network)
        | ready_distiller.identity(distiller, teacher, teacher_logits),
    )
    return training.run()


class _Training:
    """One network's training: `model` is `network` itself or a Distiller around it."""

    def __init__(self, model, network, data, settings, *, folder, label, callbacks, watchers, identity):
        self._model = model
        self._network = network
        self._data = data
        self._settings = settings
        self._folder = None if folder is None else pathlib.Path(folder)
        self._label = label
        self._callbacks = list(callbacks)
        self._watchers = watchers
        self._averaged, self._choosing = weights_at_end.callbacks_of(
            settings, network, label, any(watcher.loses_shortcuts for watcher in watchers)
        )
        for watcher in watchers:
            watcher.averaged = self._averaged
        self._is_chief = is_chief(settings)
        check_made_here(network, settings)
        if settings.strategy == "multiworker":
            from keras_kd.training.distributed import loop

            with scope(settings):
                loop.wait_for_all()  # the chief may still be emptying the folder
        others = [*self._callbacks, *self._choosing]
        checkpoints = self._checkpoints(identity)
        self._alarms = DistillationAlarms() if isinstance(model, Distiller) else None
        self._checkpoint = Checkpoint(checkpoints, self._variables, others, self._is_chief, self._alarms)

    def _checkpoints(self, identity):
        if self._folder is None:
            return None
        own = {
            **self._settings.as_dict(),
            "dataset": self._data.dataset.fingerprint,
            "network": weights.structure(self._network),
            "callbacks": [type(callback).__name__ for callback in self._callbacks],
        }
        return checkpointing.Checkpoints(self._folder / "checkpoints" / self._label, identity | own)

    def _parts(self):
        """The network, and the layers of losses, that are trained."""
        return [self._network, *getattr(self._model, "adaptors", {}).values()]

    def _variables(self):
        """All that a step reads and writes, random layers and the Distiller's counter included."""
        measured = {id(variable) for metric in self._model.metrics for variable in metric.variables}
        counter = [self._model.step] if isinstance(self._model, Distiller) else []
        trained = [each for part in self._parts() for each in part.variables if id(each) not in measured]
        return trained + counter + self._model.optimizer.variables

    def run(self):
        """Trains on from where the checkpoints say; returns a `Trained`."""
        strategy = prepare(self._settings)
        optimizers.check_accumulation(self._settings, strategy.num_replicas_in_sync)
        bar = ProgressBar(self._label)
        observers = [*self._observers(), bar] if self._is_chief else []
        with contextlib.ExitStack() as stack:
            notes = stack.enter_context(progress.noted())
            stack.callback(bar.stop)
            stack.enter_context(strategy.scope())
            for part in self._parts():
                stack.enter_context(batch_norm.synchronized_batch_norm(part, strategy.num_replicas_in_sync))
            if backend.on_tensorflow() and not backend.has_accelerator():
                stack.enter_context(batch_norm.fused_batch_norm(self._network))
            if not self._settings.decays_decoupled:
                stack.enter_context(optimizers.l2_on_kernels(self._network, self._settings.weight_decay))
            self._compile()
            alarms = [self._alarms] if self._alarms and self._is_chief else []
            guards = [StopOnDivergence(self._label), LogSettings(), *self._choosing]
            self._fit([*alarms, *guards, *self._watchers, *observers, *self._callbacks, self._checkpoint])
        return Trained(self._checkpoint.history, self._checkpoint.seconds, tuple(notes))

    def _compile(self):
        self._model.compile(
            optimizer=optimizers.make_optimizer(
                self._settings, self._data.schedule.steps, self._network, self._model.trainable_variables
            ),
            **inputs.compile_arguments(self._data),
            jit_compile=config.JIT[self._settings.jit_compile],
            steps_per_execution=steps_per_execution(self._settings, self._data.schedule.steps),
        )
        self._model.optimizer.build(self._model.trainable_variables)

    def _fit(self, callbacks):
        epochs = self._settings.epochs
        fit(
            self._model,
            self._data,
            callbacks=callbacks,
            epochs=epochs,
            initial_epoch=self._checkpoint.initial_epoch(epochs),
            several_hosts=self._settings.strategy == "multiworker",
            averaged=self._averaged,
        )

    def _observers(self):
        if self._folder is None:
            return []
        observers = [EpochLog(self._folder / epoch_log.FILE, self._label, self._alarms)]
        if backend.has_tensorflow():
            observers.append(TensorBoardCurves(self._folder / self._label))
        return observers
