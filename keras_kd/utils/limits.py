"""What values may be, once for flags, files and functions: numbers in a range, sizes that a machine holds.

    limits.EPOCHS.check("epochs", 3)

Limits are far above what anyone trains, and low enough that nothing begins that could never end.
"""

import dataclasses
import os
import pathlib
import reprlib
import shutil

from keras_kd.utils import checks

SHOWN = 60  # characters of a value that a message shows

GIGABYTE = 1e9


@dataclasses.dataclass(frozen=True)
class Range:
    """The finite numbers from `low` to `high`.

    Attributes:
      low, high: both included, but where said otherwise.
      whole: whether only whole numbers are.
      above, below: whether `low`, or `high`, is excluded.
      about: what the value is, in words.
    """

    low: float
    high: float
    whole: bool = False
    above: bool = False
    below: bool = False
    about: str = ""

    def check(self, name, value):
        """Returns the value as Python's int or float.

        Raises:
          ValueError: if it is not in the range; the message names it and says what is.
        """
        if not self._holds(value):
            subject = f"{name}, {self.about}," if self.about else name
            received = shown(value) if " " in name else f"{name}={shown(value)}"
            raise ValueError(f"{subject} must {self.words}. Received: {received}")
        return checks.plain(value)

    def _holds(self, value):
        is_kind = checks.is_whole(value) if self.whole else checks.is_real(value)
        if not is_kind or not self.low <= value <= self.high:
            return False
        return not (self.above and value == self.low) and not (self.below and value == self.high)

    @property
    def words(self):
        """What follows "must"."""
        if self.whole:
            return f"be a whole number from {self.low} to {self.high}"
        opening, closing = "(" if self.above else "[", ")" if self.below else "]"
        return f"lie in {opening}{self.low:.15g}, {self.high:.15g}{closing}"


def whole(low, high, about=""):
    """The `Range` of whole numbers from `low` to `high`."""
    return Range(low, high, whole=True, about=about)


SHARE = Range(0, 1)
AREA = Range(0, 1, above=True)  # of a part of an image, or a ratio of sides
SEED = whole(0, 2**31 - 1)
MIXING_ALPHA = Range(0, 1000, above=True)
MAGNITUDE = Range(0, 30)
LAYERS_OF_AUGMENTATION = whole(1, 8)
SEED_OF_DRAWS = whole(0, 2**32 - 1)  # a seed that NumPy made of several

# Of a training.
EPOCHS = whole(1, 1_000_000)
BATCH_SIZE = whole(1, 1_000_000)
LEARNING_RATE = Range(0, 1e15, above=True)  # far too high ones are seen to diverge; float32 holds them
WEIGHT_DECAY = Range(0, 1e6)
CLIP_NORM = Range(0, 1e9)
EMA = Range(0, 1, below=True)
LABEL_SMOOTHING = Range(0, 1, below=True)
ACCUMULATION_STEPS = whole(1, 10_000)
EARLY_STOPPING = whole(0, EPOCHS.high)
REPLICAS = whole(0, 256)
STEPS_PER_EXECUTION = whole(0, 1_000_000)
VALIDATION_FRACTION = Range(0, 1, above=True, below=True)
TRAINING_SHARE = Range(0, 1, above=True)
SNAPSHOTS = whole(0, 10_000)

# Of distillation. Beyond these temperatures float32 resolves neither the softened classes nor T^2 times them.
TEMPERATURE = Range(0.001, 10_000)
ALPHA = Range(0, 1, about="the weight of the teacher's term")
TERM_WEIGHT = Range(0, 1e9)  # a negative one would push away from the teacher
LOSS_WEIGHT = Range(0, TERM_WEIGHT.high, above=True)  # of a loss that was asked for
WEIGHT_FACTOR = Range(1e-6, 1e6)
ALPHA_EPOCHS = whole(0, EPOCHS.high)
VIEWS = whole(0, 10_000)
TOP_K = whole(0, 1_000_000)

# Of networks. The deepest published one has 1,202 layers; a billion parameters are four gigabytes.
DEPTH = whole(1, 2000)
WIDTH = whole(1, 100_000)
CLASSES = whole(1, 10_000_000)
DROPOUT = Range(0, 1, below=True)
PARAMETERS = 1_000_000_000

# Of many trainings.
SEEDS = whole(1, 1000)
RUNS = 10_000
TRIALS = whole(0, 100_000)
FACTOR = whole(2, 100)
PATIENCE = Range(0, 1e7, above=True, about="in seconds")
JOBS = whole(1, 1024)
NETWORKS_AT_A_TIME = whole(1, 2)

# Of measurements.
EXAMPLES = whole(0, 1_000_000_000)
IMAGES = whole(1, EXAMPLES.high)
STANDARD_ERROR = Range(1e-9, 1000)
IMAGES_AT_A_TIME = whole(1, 65_536)
EXPORTED_BATCH = whole(0, IMAGES_AT_A_TIME.high)  # 0: any number
ROUNDS = whole(1, 100_000)
CALLS = whole(5, 1_000_000)
THREADS = whole(1, 1024)
PLANE_STEPS = whole(3, 1001)
SPAN = Range(0, 100, above=True)
HESSIAN_STEPS = whole(0, 101)
EIGENVALUES = whole(1, 1000)
TRACE_SAMPLES = whole(2, 100_000)
DRAWS = whole(1, 10_000)
SILENCED = whole(1, 10_000)
REUSE_BATCH = whole(7, IMAGES_AT_A_TIME.high)


def check_choice(name, value, choices):
    """Raises a ValueError if a value is not among some; the message lists them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}. Received: {name}={shown(value)}")


def check_each_once(name, values):
    """Raises a ValueError if a list holds something twice, or something empty."""
    if any(value == "" for value in values):
        raise ValueError(f"{name} must not hold an empty value. Received: {name}={shown(','.join(values))}")
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise ValueError(f"{name} must hold each value once. Received: {shown(twice)} twice")


def check_weights(**weights):
    """The weights of a loss's summands as floats, in order.

    Raises:
      ValueError: for one that is not in `TERM_WEIGHT`, or if all are 0.
    """
    found = [float(TERM_WEIGHT.check(name, weight)) for name, weight in weights.items()]
    if not any(found):
        raise ValueError(f"{' or '.join(weights)} must be above 0: the loss is 0 else. Received: {found}")
    return found


def check_parameters(what, count):
    """Raises a ValueError for a network of more than `PARAMETERS`, told before it is built."""
    if count > PARAMETERS:
        raise ValueError(
            f"{what} has about {count:.2g} parameters, and {PARAMETERS:.2g} are the most: make it smaller"
        )


def check_memory(what, size):
    """Raises a ValueError if this machine's memory is smaller than `size` bytes."""
    memory = memory_size()
    if memory and size > memory:
        raise ValueError(
            f"{what} would take {size / GIGABYTE:.3g} GB of memory, and this machine has "
            f"{memory / GIGABYTE:.3g} GB: make it smaller"
        )


def memory_size():
    """Bytes of this machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def check_disk(what, size, folder):
    """Raises a ValueError if the disk of a folder, which need not exist, has fewer than `size` bytes left."""
    folder = pathlib.Path(folder).absolute()
    parent = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(parent).free
    if size > free:
        raise ValueError(
            f"{what} would take {size / GIGABYTE:.3g} GB, and {free / GIGABYTE:.3g} GB are free in {parent}: "
            f"make it smaller"
        )


def shown(value):
    """A value as messages show it, cut where it is long or deep: a list may hold another ten times over."""
    text = _SHORT.repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxfrozenset = 20
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 10 * SHOWN  # cut in the middle: beyond what is shown
