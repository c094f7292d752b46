"""The training steps that `benchmark` compares, each in a process of its own that waits for its turns.

    python -m experiments.benchmarks.contenders live cifar '{"precision": "float32"}'

reads from stdin how many steps to take and answers each time with a line of JSON: the seconds of each
step. An empty line ends it; the last answer says what else was measured.
"""

import dataclasses
import itertools
import json
import resource
import sys
import tempfile
import time

import keras
import numpy as np

from keras_kd import losses, models
from keras_kd.data import datasets, device_images, sampling
from keras_kd.data.training_data import TrainingData
from keras_kd.distillation import recipes, shortcut_removal, teacher_cache
from keras_kd.models import fading, folding, inference, registry
from keras_kd.training import config, inputs, trainer
from keras_kd.training.distributed import strategy
from keras_kd.utils import backend, progress

CLASSES = 10
BATCHES = 20  # of training images; what they show does not matter
FOREVER = 10**6
TEMPERATURE, ALPHA = 4.0, 0.9
WAITS = 20  # steps over which the wait for data is measured

DISTILLING = ("student_alone", "teacher_forward", "live", "cached", "keras_distillation", "minimal", "torch")
REMOVING = (
    *("residual_twin", "student_alone", "fade", "merge", "removed"),
    *("live", "fade_live", "merge_live", "pulled_live", "pulled_merge_live"),
)
PULLED = "fade_end=0.7:blockwise_end=1"  # to the blocks of the twin that teaches, the best ways there are
LOSSES = ("live", *(name for name in losses.NAMES if name != recipes.KD))
CONTENDERS = tuple(dict.fromkeys(DISTILLING + REMOVING + LOSSES))


@dataclasses.dataclass(frozen=True)
class Size:
    """A pair of networks, as `models.build` names them, the batches that they see, and who takes part."""

    title: str
    image_shape: tuple[int, int, int]
    batch_size: int
    teacher: str
    student: str
    contenders: tuple[str, ...] = DISTILLING

    def network(self, role):
        """The teacher, with shortcuts, the student, without, or the student's "residual_twin"."""
        keras.utils.set_random_seed(0)
        network = self.teacher if role == "teacher" else self.student
        spec = registry.with_shortcuts(network, role != "student") or network
        return models.build(spec, self.image_shape, CLASSES)

    def of(self, teacher=None, student=None):
        """The same with other networks; None leaves one as it is. PyTorch has no others and is left out."""
        if not (teacher or student):
            return self
        teacher, student = teacher or self.teacher, student or self.student
        title = f"{teacher} to {student}, {self.image_shape[0]}x{self.image_shape[1]}"
        others = tuple(name for name in self.contenders if name != "torch")
        return dataclasses.replace(self, title=title, teacher=teacher, student=student, contenders=others)


def _cifar(title, image_shape, batch_size, teacher, student, contenders=DISTILLING):
    names = [f"cifar_resnet:{network}" for network in (teacher, student)]
    return Size(title, image_shape, batch_size, *names, contenders)


SIZES = {
    "digits": _cifar("ResNet-32 to plain-32, 8x8", (8, 8, 1), 64, "32", "32"),
    "cifar": _cifar("ResNet-56 to plain-20, 32x32", (32, 32, 3), 128, "56", "20"),
    "wide": Size(
        "WRN-28-2 to plain WRN-16-2, 32x32", (32, 32, 3), 128, "wide_resnet:28:2", "wide_resnet:16:2"
    ),
    "search": _cifar("ResNet-20 to plain-32 of width 8, 8x8 (a search)", (8, 8, 1), 64, "20", "32:width=8"),
    "shortcut_removal": _cifar(
        "ResNet-32 of width 8 and its plain twin, 32x32",
        (32, 32, 3),
        128,
        "32:width=8",
        "32:width=8",
        REMOVING,
    ),
    "losses": _cifar("ResNet-56 to plain-20, 32x32, each loss", (32, 32, 3), 128, "56", "20", LOSSES),
    "deep": _cifar("ResNet-110 to plain-110, 8x8", (8, 8, 1), 64, "110", "110"),
    "tiny": _cifar("ResNet-8 to plain-8, 8x8 (to try out)", (8, 8, 1), 16, "8", "8"),
}


class Turns(keras.callbacks.Callback):
    """Takes as many steps as it is told, reports their seconds, and waits to be told again."""

    def __init__(self):
        super().__init__()
        self._left, self._seconds = 0, []

    def begin(self):
        """Before a step: waits for a turn, then starts the clock."""
        if not self._left:
            if self._seconds:
                answer(self._seconds)
                self._seconds = []
            self._left = int(sys.stdin.readline().strip() or 0)
            if not self._left:
                raise DoneError
        self._started = time.perf_counter()

    def end(self):
        """After a step whose results are there."""
        self._seconds.append(time.perf_counter() - self._started)
        self._left -= 1

    def on_train_batch_begin(self, batch, logs=None):
        self.begin()

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # waits for the device
        self.end()


class DoneError(Exception):
    """There is no turn any more."""


def answer(values):
    """Sends a line to the benchmark."""
    print(json.dumps(values), file=ANSWERS, flush=True)


ANSWERS = sys.stdout


class Contender:
    """What all have in common: data, plan, settings, turns."""

    def __init__(self, size, options, turns):
        self.size = size
        self.turns = turns
        self.dataset = random_images(size)
        self.settings = config.Settings(
            epochs=FOREVER,
            batch_size=size.batch_size,
            learning_rate=1e-5,
            weight_decay=0.0,  # the others have neither decay nor clipping
            clip_norm=0.0,
            warmup_fraction=0.0,
            strategy="none",
            steps_per_execution=1,
            **options,
        )
        self.plan = sampling.batch_schedule(self.dataset, size.batch_size)
        self.measured = {}

    def run(self, name):
        """Takes the steps of one of `CONTENDERS`, until there is no turn any more."""
        self.taught_by(name) if name in losses.NAMES else getattr(self, name)()

    def student_alone(self):
        self._train(self._network("student"))

    def residual_twin(self):
        self._train(self._network("residual_twin"))

    def fade(self):
        self._train(self._network("student"), shortcut_removal.make("fade"))

    def merge(self):
        self._train(self._network("student"), shortcut_removal.make("merge"))

    def removed(self):
        """What is left of a network with fading shortcuts, trained on."""
        with strategy.scope(self.settings):
            faded = shortcut_removal.make("fade").start(self._network("student"), steps=1)
            self._train(fading.remove_shortcuts(faded))

    def _train(self, network, removal=None):
        turns = [self.turns]
        trainer.train(network, self.dataset, self.settings, shortcut_removal=removal, callbacks=turns)

    def teacher_forward(self):
        folded = folding.fold_batch_norm(self._network("teacher"))  # as it is asked in a step
        (teacher,) = self._fed(folded)
        forward = inference.compiled(teacher)
        epoch = self.plan.epoch(0)
        for step in itertools.cycle(range(self.plan.steps)):
            batch = self._batch(epoch, step)
            self.turns.begin()
            keras.ops.convert_to_numpy(forward(batch))
            self.turns.end()

    def _fed(self, *networks):
        """Networks as a step sees them: on images, or on what names images on the device."""
        with strategy.scope(self.settings):
            images = inputs.device_images_of(self._data(), self.settings)
            return [device_images.with_device_input(each, images) if images else each for each in networks]

    def _batch(self, epoch, step):
        index, params = epoch.index[step], {field: values[step] for field, values in epoch.params.items()}
        if inputs.images_on_device(self.dataset, self.settings):
            return {device_images.INDEX: index, **params}
        images = self.dataset.train.images[index]
        return self.plan.augmentation.apply(images, params, self.dataset.mean, self.dataset.std)

    def _data(self, teacher_logits=None):
        on_device = inputs.images_on_device(self.dataset, self.settings)
        return TrainingData(self.dataset, self.plan, teacher_logits, on_device)

    def live(self):
        self._distil(None)

    def fade_live(self):
        self._distil(None, shortcut_removal.make("fade"))

    def merge_live(self):
        self._distil(None, shortcut_removal.make("merge"))

    def pulled_live(self):
        self._distil(None, shortcut_removal.parse_spec(f"fade+blockwise:blockwise_weight=16:{PULLED}"))

    def pulled_merge_live(self):
        self._distil(None, shortcut_removal.parse_spec(f"fade+merge+blockwise:blockwise_weight=8:{PULLED}"))

    def cached(self):
        with tempfile.TemporaryDirectory() as folder:
            self.plan = dataclasses.replace(self.plan, views=1)
            started = time.perf_counter()
            kept = teacher_cache.cache_logits(self._network("teacher"), self.dataset, self.plan, folder)
            self.measured["seconds_to_fill_a_view"] = time.perf_counter() - started
            self._distil(kept)

    def taught_by(self, loss):
        """With another loss than KD."""
        self._distil(None, loss=loss)

    def _distil(self, teacher_logits, removal=None, loss=recipes.KD):
        recipe = recipes.parse_spec(loss)
        teacher = self._network("teacher")
        with strategy.scope(self.settings):
            student = recipe.student_of(teacher, self._network("student"))
        try:
            trainer.distill(
                teacher,
                student,
                self.dataset,
                self.settings,
                **recipe.arguments(FOREVER, temperature=TEMPERATURE, alpha=ALPHA),
                teacher_logits=teacher_logits,
                shortcut_removal=removal,
                trust_teacher=True,  # it is untrained
                callbacks=[self.turns],
            )
        except DoneError:
            if backend.on_tensorflow():
                self.measured["share_waiting_for_data"] = self._waiting(self.turns.model, teacher_logits)
            raise

    def _waiting(self, model, teacher_logits):
        """The share of a step's time that passes before its batch is there."""
        from keras_kd.data import tf_pipeline

        batches = iter(tf_pipeline.batches(self._data(teacher_logits), epochs=FOREVER))
        model.train_on_batch(*next(batches))
        waited = whole = 0.0
        for _ in range(WAITS):
            started = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - started
            model.train_on_batch(*batch)
            whole += time.perf_counter() - started
        return waited / whole

    def keras_distillation(self):
        """With an instance of KLDivergence: its default is not distillation."""
        teacher, student = self._fed(self._network("teacher"), self._network("student"))
        distiller = keras.distillation.Distiller(
            teacher,
            student,
            distillation_losses=keras.distillation.LogitsDistillation(
                temperature=TEMPERATURE, loss=keras.losses.KLDivergence()
            ),
            student_loss_weight=1 - ALPHA,
        )
        self._fit(distiller)

    def minimal(self):
        self._fit(Minimal(*self._fed(self._network("teacher"), self._network("student"))))

    def _fit(self, model):
        model.compile(
            optimizer=keras.optimizers.SGD(1e-5, momentum=0.9, nesterov=True),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=config.JIT[self.settings.jit_compile],
        )
        trainer.fit(model, self._data(), callbacks=[self.turns], epochs=FOREVER)

    def torch(self):
        from experiments.benchmarks import torch_loop

        torch_loop.run(self, TEMPERATURE, ALPHA)

    def _network(self, role):
        with strategy.scope(self.settings):
            return self.size.network(role)


class Minimal(keras.Model):
    """The least that distils: a loss of two terms in `compute_loss`."""

    def __init__(self, teacher, student):
        super().__init__()
        self.teacher, self.student = teacher, student
        self.teacher.trainable = False

    def call(self, inputs, training=None):
        return self.student(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        teacher, student = (
            keras.ops.softmax(logits / TEMPERATURE) for logits in (self.teacher(x, training=False), y_pred)
        )
        soft = TEMPERATURE**2 * keras.ops.mean(keras.losses.kl_divergence(teacher, student))
        hard = super().compute_loss(x, y, y_pred, sample_weight, training)
        return (1 - ALPHA) * hard + ALPHA * soft


def random_images(size):
    """A dataset of the right shapes: speed does not depend on what is on the images."""
    rng = np.random.default_rng(0)

    def split(count):
        images = rng.integers(0, 256, (count, *size.image_shape)).astype(np.uint8)
        return datasets.Split(images, np.arange(count) % CLASSES)

    train, rest = split(BATCHES * size.batch_size), split(20)
    return datasets.Dataset("random", train, rest, rest, tuple("0123456789"), flips=True)


def main(name, size, options):
    options = json.loads(options)
    size = SIZES[size].of(options.pop("teacher", None), options.pop("student", None))
    contender = Contender(size, options, Turns())
    try:
        with progress.silence():  # no training here comes to an end
            contender.run(name)
    except DoneError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer(contender.measured | {"peak_bytes": peak})


if __name__ == "__main__":
    sys.stdout = sys.stderr  # the answers alone go to the benchmark
    main(*sys.argv[1:])
