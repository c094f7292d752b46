"""How a network is trained: `Settings`."""

import dataclasses

from keras_kd.utils import limits
from keras_kd.utils.checks import plain

# Allowed values. They stand here so that a command line can list them without importing Keras; the modules
# that implement them have the same names.
USUAL_AUGMENTATIONS = ("auto", "none", "crop", "crop_flip")

OPTIMIZERS = ("sgd", "adamw")

SCHEDULES = ("cosine", "step")

STRATEGIES = ("auto", "none", "mirrored", "multiworker", "data_parallel")

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

DECAYS = ("l2", "decoupled")

IMAGES = ("auto", "host", "device")

JIT = {"auto": "auto", "on": True, "off": False}


# Of `distillation.teacher_inputs`, which needs Keras, and that it is found by measuring.
TEACHER_PREPROCESSINGS = ("auto", "dataset", "imagenet", "caffe", "unit", "minus_one_one", "none")


# The share of the steps after which the step schedule drops first.
FIRST_DROP = 0.5

# The most steps between two looks of Python, where that pays.
MANY_STEPS = 16


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
      optimizer: "sgd", with Nesterov's momentum, or "adamw" (Loshchilov & Hutter 2019), whose decay is always
        decoupled.
      momentum: of SGD.
      weight_decay: strength lambda of the decay of convolution and dense kernels; BatchNorm
        and biases never decay.
      decay: "l2" adds `lambda / 2 * ||kernel||^2` to the loss, as in He et al. 2016;
        "decoupled" subtracts `learning rate * lambda * kernel` at each step (Loshchilov &
        Hutter 2019).
      clip_norm: largest norm of the gradient over all weights; 0 never clips.
      accumulation_steps: how many steps' gradients are averaged before the weights change, on one device.
      ema: momentum of a moving average of the weights, which is validated and kept at the end; 0: none.
      label_smoothing: share of each training label that is spread evenly over all classes; validation and
        test have their labels as they are.
      early_stopping: epochs without a better accuracy on validation after which the training ends with the
        weights of the best epoch; 0: it goes on to the last, whose weights count. A network that loses its
        shortcuts on the way goes on in any case.
      augmentation: a spec, such as "resized_crop:scale=0.5+flip"; see `data.augmentation.make`.
      precision: Keras's dtype policy: "float32", "mixed_bfloat16" or "mixed_float16".
      strategy: "none", "mirrored" (the batch is shared by replicas on the devices of this machine),
        "multiworker" (by those of all hosts that the environment variable TF_CONFIG names),
        "data_parallel" ("mirrored" of JAX), or "auto": "mirrored" where there is a GPU, else "none".
      replicas: how many GPUs "mirrored" uses, or where there is none into how many logical
        devices it divides the CPU; 0: all GPUs, or one CPU. Of "data_parallel": how many devices; 0: all.
      images: where training images lie and are augmented: "host" prepares batches on the CPU while the
        device computes, "device" keeps all images on it, as bytes; "auto" is "device" on one host where
        there is one beside the CPU or the backend is not TensorFlow, and "host" for images in files.
      jit_compile: whether XLA compiles the step: "on", "off", or "auto", which is what Keras does: always
        with JAX, with TensorFlow on one device that is no CPU.
      steps_per_execution: steps that TensorFlow takes without asking Python: a divisor of the steps of
        an epoch; 0: the largest up to `MANY_STEPS` beside the CPU, and 1 on it. On several hosts it and
        `jit_compile` change nothing.
      deterministic: whether to use only operations that give the same bits each time (TensorFlow's; JAX
        on a GPU is told by the environment variable XLA_FLAGS).
      seed: of initial weights, order, augmentation and dropout.

    Raises:
      ValueError: for a value out of range; the message says which and what is allowed.
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 0.02
    schedule: str = "cosine"
    warmup_fraction: float = 0.3
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay: str = "l2"
    clip_norm: float = 5.0
    accumulation_steps: int = 1
    ema: float = 0.0
    label_smoothing: float = 0.0
    early_stopping: int = 0
    augmentation: str = "auto"
    precision: str = "float32"
    strategy: str = "auto"
    replicas: int = 0
    images: str = "auto"
    jit_compile: str = "auto"
    steps_per_execution: int = 0
    deterministic: bool = False
    seed: int = 0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = plain(getattr(self, field.name))
            check_setting(field.name, value)
            object.__setattr__(self, field.name, value)
        if self.schedule == "step" and self.warmup_fraction >= FIRST_DROP:
            raise ValueError(
                "the warm-up must end before the step schedule's first drop at half of the steps. "
                f"Received: warmup_fraction={self.warmup_fraction!r}"
            )

    @property
    def decays_decoupled(self):
        """Whether the optimiser itself lets weights decay, not the loss."""
        return self.optimizer == "adamw" or self.decay == "decoupled"

    def as_dict(self):
        """`{name: value}` for results and checkpoints.

        Fields in `LATER` are left out while they have their default, so that earlier files still match.
        """
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        found = dataclasses.asdict(self)
        return {name: value for name, value in found.items() if name not in LATER or value != usual[name]}


# Fields that earlier versions lack.
LATER = ("optimizer", "accumulation_steps", "ema", "label_smoothing", "early_stopping")


# What each of the settings may be.
CHOICES = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "decay": DECAYS,
    "strategy": STRATEGIES,
    "precision": PRECISIONS,
    "images": IMAGES,
    "jit_compile": JIT,
}

RANGES = {
    "epochs": limits.EPOCHS,
    "batch_size": limits.BATCH_SIZE,
    "learning_rate": limits.LEARNING_RATE,
    "warmup_fraction": limits.SHARE,
    "momentum": limits.SHARE,
    "weight_decay": limits.WEIGHT_DECAY,
    "clip_norm": limits.CLIP_NORM,
    "accumulation_steps": limits.ACCUMULATION_STEPS,
    "ema": limits.EMA,
    "label_smoothing": limits.LABEL_SMOOTHING,
    "early_stopping": limits.EARLY_STOPPING,
    "replicas": limits.REPLICAS,
    "steps_per_execution": limits.STEPS_PER_EXECUTION,
    "seed": limits.SEED,
}


def check_setting(name, value):
    """Raises a ValueError if a field of `Settings` cannot have a value."""
    if name == "augmentation":
        check_augmentation(name, value)
    elif name in CHOICES:
        limits.check_choice(name, value, CHOICES[name])
    elif name in RANGES:
        RANGES[name].check(name, value)
    elif not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False. Received: {name}={limits.shown(value)}")


def check_augmentation(name, value):
    """Raises a ValueError if a text names no augmentation."""
    if value not in USUAL_AUGMENTATIONS:
        from keras_kd.data import augmentation

        augmentation.parse(value)
