"""The optimiser of a recipe: SGD with momentum (the paper's) or AdamW, a schedule, clipping, weight decay."""

import contextlib

import keras
from keras import ops

from keras_kd.losses import replica_share
from keras_kd.training.config import FIRST_DROP

# He et al. 2016, section 4.2: divided by 10 at 32k and 48k of 64k iterations.
STEP_DROPS = ((FIRST_DROP, 0.1), (0.75, 0.01))


# ... and a constant 0.01 instead of 0.1 while warming up.
STEP_WARMUP_FACTOR = 0.1


def cosine_schedule(learning_rate, steps, warmup_steps):
    """Linear warm-up from 0, then half a cosine down to 0. Loshchilov & Hutter 2017, Eq. (5)."""
    if not warmup_steps:
        return keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - warmup_steps, 1), warmup_target=learning_rate, warmup_steps=warmup_steps
    )


def step_schedule(learning_rate, steps, warmup_steps):
    """A tenth while warming up, then the rate, divided by 10 at a half and at three quarters.

    Source: He et al. 2016, section 4.2.
    """
    boundaries = [int(share * steps) for share, _ in STEP_DROPS]
    values = [learning_rate, *(learning_rate * factor for _, factor in STEP_DROPS)]
    if 0 < warmup_steps < boundaries[0]:
        boundaries = [warmup_steps, *boundaries]
        values = [learning_rate * STEP_WARMUP_FACTOR, *values]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


SCHEDULES = {"cosine": cosine_schedule, "step": step_schedule}


class _ClipsWholeGradient:
    """An optimiser that clips the norm of the whole gradient, on any number of replicas.

    Keras's own `global_clipnorm` clips each replica's gradient before the sum, so N replicas
    clip about N times later than one. Here the sum is clipped.

    Args:
      clip_norm: the largest norm of the gradient over all weights.
      **kwargs: as for the optimiser.
    """

    def __init__(self, *args, clip_norm, **kwargs):
        super().__init__(*args, **kwargs)
        self.clip_norm = clip_norm

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        present = [grad for grad in grads if grad is not None]
        if keras.backend.backend() == "tensorflow":
            present = _summed_over_replicas(present)
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(grad, "float32"))) for grad in present))
        # The optimiser sums over the replicas once more.
        scale = replica_share() * self.clip_norm / ops.maximum(norm, self.clip_norm)
        clipped = iter(present)
        grads = [None if grad is None else next(clipped) * ops.cast(scale, grad.dtype) for grad in grads]
        super().apply(grads, trainable_variables)

    def get_config(self):
        return {**super().get_config(), "clip_norm": self.clip_norm}


@keras.saving.register_keras_serializable(package="keras_kd")
class GlobalClipSGD(_ClipsWholeGradient, keras.optimizers.SGD):
    """`keras.optimizers.SGD` that clips the norm of the whole gradient: see `clip_norm` of the recipe."""


@keras.saving.register_keras_serializable(package="keras_kd")
class GlobalClipAdamW(_ClipsWholeGradient, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, likewise."""


def _summed_over_replicas(grads):
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return grads
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, grads)


def kernels(model):
    """The trainable weights that decay: convolution and dense kernels, never BatchNorm or biases."""
    return [weight for weight in model.trainable_weights if len(weight.shape) > 1]


@contextlib.contextmanager
def l2_on_kernels(model, weight_decay):
    """Adds `weight_decay / 2 * ||kernel||^2` to the model's losses while it lasts.

    A kernel that has a regulariser of its own keeps it.
    """
    borrowed = [kernel for kernel in kernels(model) if kernel.regularizer is None]
    try:
        for kernel in borrowed:
            kernel.regularizer = keras.regularizers.L2(weight_decay / 2)
        yield
    finally:
        for kernel in borrowed:
            kernel.regularizer = None


def make_optimizer(settings, steps_per_epoch, network, trained=None):
    """The optimiser of a recipe.

    Args:
      settings: a `config.Settings`.
      steps_per_epoch: of the training.
      network: whose kernels decay, where decay is decoupled, and nothing else does.
      trained: all variables that are trained, those of a loss's own layers among them; None: the network's.
    """
    steps = settings.epochs * steps_per_epoch
    schedule = SCHEDULES[settings.schedule](
        settings.learning_rate, steps, round(settings.warmup_fraction * steps)
    )
    arguments = {"learning_rate": schedule, **_averaging(settings)}
    if settings.optimizer == "sgd":
        arguments |= {"momentum": settings.momentum, "nesterov": True}
    if settings.decays_decoupled:
        arguments["weight_decay"] = settings.weight_decay
    kinds = {"sgd": (keras.optimizers.SGD, GlobalClipSGD), "adamw": (keras.optimizers.AdamW, GlobalClipAdamW)}
    plain, clipping = kinds[settings.optimizer]
    if settings.clip_norm and settings.accumulation_steps == 1:
        optimizer = clipping(**arguments, clip_norm=settings.clip_norm)
    else:
        optimizer = plain(**arguments)
    if settings.decays_decoupled:
        decaying = {id(kernel) for kernel in kernels(network)}
        optimizer.exclude_from_weight_decay(
            [each for each in trained or network.trainable_weights if id(each) not in decaying]
        )
    return optimizer


def _averaging(settings):
    """What an optimiser takes of averages over steps: of gradients, and of weights."""
    arguments, steps = {}, settings.accumulation_steps
    if steps > 1:  # Keras clips what is accumulated; on one replica that is the whole gradient
        clips = {"global_clipnorm": settings.clip_norm} if settings.clip_norm else {}
        arguments |= {"gradient_accumulation_steps": steps} | clips
    if settings.ema:  # Keras averages at each step, also where the weights did not change
        arguments |= {"use_ema": True, "ema_momentum": settings.ema ** (1 / steps)}
    return arguments


def check_accumulation(settings, replicas):
    """Raises a ValueError for gradients accumulated on several replicas, which Keras cannot."""
    if settings.accumulation_steps > 1 and replicas > 1:
        raise ValueError(
            f"gradients are accumulated on one device, not on {replicas}: take a larger batch there, or "
            f"strategy='none'. Received: accumulation_steps={settings.accumulation_steps}"
        )
