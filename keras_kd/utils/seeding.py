"""Random numbers that depend on a seed alone, not on what was drawn before."""

import contextlib
import random

# Where a network's weights begin: with those of its seed, as all others of that seed, or with its own.
SHARED, OWN = STARTS = ("shared", "own")

_OTHER_SEED = 1_000_003


def start_seed(seed, start=SHARED):
    """The seed of the initial weights of a network whose run has `seed`."""
    return seed + _OTHER_SEED if start == OWN else seed


@contextlib.contextmanager
def initial_weights(seed):
    """Lets layers that are built inside begin with weights of this seed; later draws do not see it.

    Keras's initialisers without a seed of their own take one from Python's generator.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
