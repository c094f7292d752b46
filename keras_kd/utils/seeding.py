"""Random numbers that depend on a seed alone, not on what was drawn before."""

import contextlib
import random


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
