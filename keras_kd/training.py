"""`train` on labels alone, `distill` from a teacher, `evaluate` on a split.

settings = training.Settings(epochs=30)
with training.scope(settings):
    student = keras_kd.cifar_resnet(32, dataset.image_shape, shortcuts=False)
training.distill(teacher, student, dataset, settings, temperature=4.0, alpha=0.9)
"""

import contextlib
import dataclasses
import functools
import math
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from keras_kd import callbacks as kd_callbacks
from keras_kd import optimization, pipeline
from keras_kd.distiller import Distiller

STRATEGIES = ("auto", "none", "mirrored")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
DECAYS = ("l2", "decoupled")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a network is trained; the data and the networks are not part of it.

    Attributes:
      epochs: passes over the training split.
      batch_size: examples a step, over all replicas.
      learning_rate: the highest rate of the schedule.
      schedule: "cosine" or "step".
      warmup_fraction: share of the steps until the highest rate is reached; deep networks
        without shortcuts need a long one.
      momentum: of SGD with Nesterov's acceleration.
      weight_decay: strength lambda of the decay of convolution and dense kernels; BatchNorm
        and biases never decay.
      decay: "l2" adds `lambda / 2 * ||kernel||^2` to the loss, as in He et al. 2016;
        "decoupled" subtracts `learning rate * lambda * kernel` at each step (Loshchilov &
        Hutter 2019).
      clip_norm: largest norm of the gradient over all weights; 0 never clips.
      augmentation: see `pipeline.batches`.
      precision: Keras's dtype policy: "float32", "mixed_bfloat16" or "mixed_float16".
      strategy: "none", "mirrored" (one replica per GPU), or "auto": "mirrored" where there is a
        GPU, else "none".
      seed: of initial weights, order, augmentation and dropout.

    Raises:
      ValueError: for a value out of range; the message says which and what is allowed.
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 0.02
    schedule: str = "cosine"
    warmup_fraction: float = 0.3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay: str = "l2"
    clip_norm: float = 5.0
    augmentation: str = "auto"
    precision: str = "float32"
    strategy: str = "auto"
    seed: int = 0

    def __post_init__(self):
        _check_choice("schedule", self.schedule, optimization.SCHEDULES)
        _check_choice("decay", self.decay, DECAYS)
        _check_choice("augmentation", self.augmentation, pipeline.AUGMENTATIONS)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("strategy", self.strategy, STRATEGIES)
        for name, low, high in (
            ("epochs", 1, math.inf),
            ("batch_size", 1, math.inf),
            ("warmup_fraction", 0, 1),
            ("momentum", 0, 1),
            ("weight_decay", 0, math.inf),
            ("clip_norm", 0, math.inf),
            ("seed", 0, 2**31 - 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high or math.isinf(value):
                raise ValueError(f"{name} must lie in [{low}, {high}]. Received: {name}={value!r}")
        for name in ("epochs", "batch_size", "seed"):
            if not isinstance(getattr(self, name), int):
                raise ValueError(f"{name} must be a whole number. Received: {getattr(self, name)!r}")
        if self.schedule == "step" and self.warmup_fraction >= optimization.STEP_DROPS[0][0]:
            raise ValueError(
                "the warm-up must end before the step schedule's first drop at half of the steps. "
                f"Received: warmup_fraction={self.warmup_fraction!r}"
            )
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be > 0. Received: learning_rate={self.learning_rate!r}")


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {tuple(choices)}. Received: {name}={value!r}")


@contextlib.contextmanager
def scope(settings):
    """Where networks and Distillers are made: under the strategy and in the precision.

    Raises:
      ValueError: if the batch cannot be shared evenly among the replicas.
    """
    strategy = _strategy(settings.strategy)
    replicas = strategy.num_replicas_in_sync
    if settings.batch_size % replicas:
        raise ValueError(
            f"batch_size must be a multiple of the {replicas} replicas. "
            f"Received: batch_size={settings.batch_size}"
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)
    try:
        with strategy.scope():
            yield
    finally:
        keras.config.set_dtype_policy(before)


@functools.cache
def _strategy(name):
    """One object per process and name: two strategies in one process break collectives."""
    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    if name == "mirrored" or (name == "auto" and has_gpu):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


@dataclasses.dataclass(frozen=True)
class Trained:
    """What `train` and `distill` return.

    Attributes:
      history: `{metric: [value per epoch]}`.
      seconds: wall-clock time of `fit`.
    """

    history: dict[str, list[float]]
    seconds: float


def train(model, dataset, settings, *, folder=None, label=None, callbacks=()):
    """Trains a network on the labels alone.

    Args:
      model: a `keras.Model` that returns logits, made inside `scope(settings)`.
      dataset: a `keras_kd.datasets.Dataset`.
      settings: a `Settings`.
      folder: of the run: gets `log.txt`, `tensorboard/LABEL/` and `checkpoints/LABEL.keras`.
        None writes nothing.
      label: what the network is called there; its own name if None.
      callbacks: further Keras callbacks.

    Returns:
      A `Trained`.

    Raises:
      TrainingDivergedError: when the loss becomes NaN or infinite; what was saved stays.
    """
    return _fit(model, model, dataset, settings, folder, label or model.name, callbacks)


def distill(
    teacher,
    student,
    dataset,
    settings,
    *,
    temperature=4.0,
    alpha=0.9,
    terms=(),
    folder=None,
    label=None,
    callbacks=(),
):
    """Trains a student on the labels and on a teacher's logits.

    Args:
      teacher: a `keras.Model` that returns logits, made inside `scope(settings)`.
      student: another; it is trained in place.
      dataset, settings, folder, label, callbacks: as for `train`.
      temperature, alpha, terms: as for `keras_kd.Distiller`.

    Returns:
      A `Trained`.

    Raises:
      ValueError: see `keras_kd.Distiller`.
      TrainingDivergedError: when the loss becomes NaN or infinite; what was saved stays.
    """
    with scope(settings):
        distiller = Distiller(teacher, student, temperature=temperature, alpha=alpha, terms=terms)
    return _fit(distiller, student, dataset, settings, folder, label or student.name, callbacks)


def evaluate(model, dataset, split="test", *, teacher=None, batch_size=256):
    """Measures a network on every example of a split, once, in float64.

    Args:
      model: a `keras.Model` that returns logits.
      dataset: a `keras_kd.datasets.Dataset`.
      split: "train", "validation" or "test".
      teacher: a network to compare with, or None.
      batch_size: examples at a time.

    Returns:
      `{"accuracy": ..., "loss": ...}`, the mean cross-entropy in nats, and with a teacher
      `"agreement"`, the share of examples for which both name the same class.
    """
    logits = _logits(model, dataset, split, batch_size)
    labels = getattr(dataset, split).labels
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    measured = {
        "accuracy": float(np.mean(logits.argmax(axis=1) == labels)),
        "loss": float(-np.mean(log_probabilities[np.arange(len(labels)), labels])),
    }
    if teacher is not None:
        teacher_classes = _logits(teacher, dataset, split, batch_size).argmax(axis=1)
        measured["agreement"] = float(np.mean(logits.argmax(axis=1) == teacher_classes))
    return measured


def _logits(model, dataset, split, batch_size):
    with model.distribute_strategy.scope():
        batches = pipeline.evaluation_batches(dataset, split, batch_size)
        return model.predict(batches, verbose=0).astype(np.float64)


def _fit(model, network, dataset, settings, folder, label, callbacks):
    """Fits `model`, which is `network` itself or a Distiller around it."""
    steps = pipeline.steps_per_epoch(dataset, settings.batch_size)
    training_batches = pipeline.batches(
        dataset,
        settings.batch_size,
        epochs=settings.epochs,
        seed=settings.seed,
        augmentation=settings.augmentation,
    )
    bar = kd_callbacks.ProgressBar(label)
    with contextlib.ExitStack() as stack:
        stack.callback(bar.stop)
        stack.enter_context(model.distribute_strategy.scope())
        replicas = model.distribute_strategy.num_replicas_in_sync
        stack.enter_context(optimization.synchronized_batch_norm(network, replicas))
        if settings.decay == "l2":
            stack.enter_context(optimization.l2_on_kernels(network, settings.weight_decay))
        model.compile(
            optimizer=_optimizer(settings, steps, network),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
        started = time.perf_counter()
        history = model.fit(
            training_batches,
            epochs=settings.epochs,
            steps_per_epoch=steps,
            validation_data=pipeline.evaluation_batches(dataset, "validation"),
            callbacks=[*_callbacks(network, folder, label), bar, *callbacks],
            shuffle=False,  # the pipeline does that
            verbose=0,
        )
    return Trained(history.history, time.perf_counter() - started)


def _optimizer(settings, steps_per_epoch, network):
    steps = settings.epochs * steps_per_epoch
    schedule = optimization.SCHEDULES[settings.schedule](
        settings.learning_rate, steps, round(settings.warmup_fraction * steps)
    )
    arguments = {"learning_rate": schedule, "momentum": settings.momentum, "nesterov": True}
    if settings.decay == "decoupled":
        arguments["weight_decay"] = settings.weight_decay
    if settings.clip_norm:
        optimizer = optimization.GlobalClipSGD(**arguments, clip_norm=settings.clip_norm)
    else:
        optimizer = keras.optimizers.SGD(**arguments)
    if settings.decay == "decoupled":
        decaying = {id(kernel) for kernel in optimization.kernels(network)}
        optimizer.exclude_from_weight_decay(
            [weight for weight in network.trainable_weights if id(weight) not in decaying]
        )
    return optimizer


def _callbacks(network, folder, label):
    callbacks = [kd_callbacks.StopOnDivergence(label), kd_callbacks.LogSettings()]
    if folder is not None:
        folder = pathlib.Path(folder)
        callbacks += [
            kd_callbacks.EpochLog(folder / "log.txt", label),
            keras.callbacks.TensorBoard(folder / "tensorboard" / label, write_graph=False),
            kd_callbacks.Checkpoint(folder / "checkpoints" / f"{label}.keras", network),
        ]
    return callbacks
