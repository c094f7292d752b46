"""Random numbers that depend on a seed alone, not on what was drawn before."""

import contextlib
import random
import re

from keras_kd.utils import limits

# Where a network's weights begin: with those of its seed, as all others of that seed, or with its own.
SHARED, OWN = STARTS = ("shared", "own")

_OTHER_SEED = 1_000_003


def start_seed(seed, start=SHARED):
    """The seed of the initial weights of a network whose run has `seed`."""
    return seed + _OTHER_SEED if start == OWN else seed


def numbers(name, value):
    """The seeds that a number or a text stands for.

    Args:
      name: of the value, for errors.
      value: how many, from 0 on, as 5 or "5"; or which, as "5..9" or "0,7".

    Returns:
      Whole numbers.

    Raises:
      ValueError: for what is neither, and for more than `limits.SEEDS`.
    """
    text = re.sub(r" *(,|\.\.) *", r"\1", str(value).strip())
    first, dots, last = text.partition("..")
    if dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        limits.SEEDS.check(f"the number of {name}", int(last) - int(first) + 1)
        found = list(range(int(first), int(last) + 1))
    elif "," in text and all(each.isdecimal() for each in text.split(",")):
        found = [int(each) for each in text.split(",")]
        limits.check_each_once(name, found)
    else:
        count = int(text) if isinstance(value, str) and text.isdecimal() else value
        if isinstance(count, str):
            shown = f"Received: {name}={limits.shown(value)}"
            raise ValueError(f"{name} must be how many, as 5, or which, as 5..9 or 0,7. {shown}")
        limits.SEEDS.check(name, count)
        found = list(range(count))
    limits.SEEDS.check(f"the number of {name}", len(found))
    for seed in found:
        limits.SEED.check(name, seed)
    return found


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
