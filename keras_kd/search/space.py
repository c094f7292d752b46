"""What a search may choose: temperature and alpha, and when asked for more of how a student is taught.

space = Space(temperature=(1.0, 16.0), alpha=(0.0, 1.0))
space.declare(hyperparameters)  # of keras-tuner
space.grid(12)  # twelve settings, spread evenly
"""

import dataclasses
import itertools
import math

import numpy as np

from keras_kd.distillation import recipes, shortcut_removal
from keras_kd.losses import check_alpha, check_temperature
from keras_kd.utils import limits


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Bounds of what is searched, each `(low, high)`, both included; equal bounds fix the value.

    Attributes:
      temperature: of the softening factor, on a logarithmic scale.
      alpha: of the weight of the teacher's term.
      learning_rate: of the highest rate, on a logarithmic scale; None leaves it to the recipe.
      alpha_epochs: of the number of epochs after which alpha falls to 0; None lets the teacher stay.
      teachers: paths of `.keras` files to choose from; fewer than two leave no choice.
      shortcut_removals: specs of ways to lose shortcuts, likewise; kept as `shortcut_removal.format_spec`
        writes them.
      losses: specs of losses, likewise.
      students: specs of networks, likewise.
      loss_weight_factor: of what the weights of the losses beside kd are multiplied by, on a logarithmic
        scale; None leaves them as they are. It says nothing of kd alone.

    Raises:
      ValueError: for bounds that are reversed or out of range; the message says which.
    """

    temperature: tuple[float, float] = (1.0, 16.0)
    alpha: tuple[float, float] = (0.0, 1.0)
    learning_rate: tuple[float, float] | None = None
    alpha_epochs: tuple[int, int] | None = None
    teachers: tuple[str, ...] = ()
    shortcut_removals: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    students: tuple[str, ...] = ()
    loss_weight_factor: tuple[float, float] | None = None

    def __post_init__(self):
        for name in self._ranges():
            low, high = getattr(self, name)
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"the bounds of {name} must be finite. Received: {low} to {high}")
            if low > high:
                raise ValueError(f"the bounds of {name} are reversed. Received: {low} to {high}")
        for bound in self.temperature:
            check_temperature(bound)
        for bound in self.alpha:
            check_alpha(bound)
        for bound in self.learning_rate or ():
            limits.LEARNING_RATE.check("learning_rate", bound)
        for bound in self.loss_weight_factor or ():
            limits.WEIGHT_FACTOR.check("loss_weight_factor", bound)
        if self.alpha_epochs and self.alpha_epochs[0] < 1:
            raise ValueError(f"a teacher stays for at least one epoch. Received: {self.alpha_epochs[0]}")
        specs = [shortcut_removal.parse_spec(text) for text in self.shortcut_removals]
        object.__setattr__(self, "shortcut_removals", tuple(map(shortcut_removal.format_spec, specs)))
        object.__setattr__(self, "losses", tuple(recipes.parse_spec(text).text for text in self.losses))
        for name in CHOSEN.values():
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"the {name} must differ. Received: {', '.join(getattr(self, name))}")

    def _ranges(self):
        found = ["temperature", "alpha"]
        return found + [name for name in _OPTIONAL if getattr(self, name)]

    @property
    def names(self):
        """Of what is searched, in order."""
        return [*self._ranges(), *(name for name in CHOSEN if len(self.values_of(name)) > 1)]

    def values_of(self, name):
        """`(low, high)` of a name, or all that it is chosen from."""
        return getattr(self, CHOSEN.get(name, name))

    def declare(self, hyperparameters):
        """Tells a `keras_tuner.HyperParameters` of this space; returns the values that it holds, by name."""
        values = {}
        for name in self.names:
            if name in CHOSEN:
                values[name] = hyperparameters.Choice(name, list(self.values_of(name)))
                continue
            low, high = getattr(self, name)
            if low == high:
                values[name] = hyperparameters.Fixed(name, low)
            elif name == "alpha_epochs":
                values[name] = hyperparameters.Int(name, low, high)
            else:
                sampling = "log" if name in LOGARITHMIC else "linear"
                values[name] = hyperparameters.Float(name, low, high, sampling=sampling)
        return values

    def grid(self, most):
        """Settings spread evenly, as many as fit a full grid of at most `most`: a list of dicts.

        The axis with the fewest points gets the next one, so that 12 trials of two are 4 x 3.
        """
        counts = dict.fromkeys(self.names, 1)
        chosen = [name for name in self.names if name in CHOSEN]
        counts |= {name: len(self.values_of(name)) for name in chosen}  # each, or it would not be a choice
        needed = math.prod(counts.values())
        if needed > most:
            raise ValueError(
                f"a grid needs a trial for each {' and '.join(chosen)}, {needed}. Received: {most}"
            )
        growing = [name for name in self._ranges() if len(self._points(name, 2)) > 1]
        while growing:
            name = min(growing, key=lambda name: (counts[name], growing.index(name)))
            more = counts | {name: counts[name] + 1}
            if math.prod(more.values()) > most or len(self._points(name, more[name])) < more[name]:
                growing.remove(name)
            else:
                counts = more
        axes = [self._points(name, count) for name, count in counts.items()]
        return [dict(zip(counts, values, strict=True)) for values in itertools.product(*axes)]

    def _points(self, name, count):
        """So many values of one axis, or as many as there are; one lies in the middle."""
        if name in CHOSEN:
            return list(self.values_of(name))
        low, high = getattr(self, name)
        if low == high:
            return [low]
        shares = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        if name in LOGARITHMIC:
            return (low * (high / low) ** shares).tolist()
        values = low + (high - low) * shares
        return sorted({round(value) for value in values}) if name == "alpha_epochs" else values.tolist()


# What each hyperparameter is called on pages.
TITLES = {
    "temperature": "temperature",
    "alpha": "alpha",
    "learning_rate": "learning rate",
    "alpha_epochs": "epochs with the teacher",
    "teacher": "teacher",
    "student": "student",
    "shortcut_removal": "shortcut removal",
    "loss": "loss",
    "loss_weight_factor": "weight of the loss, times its source's",
    "epochs": "epochs trained",
}

# What is chosen from a list, and the attribute that holds it.
CHOSEN = {
    "teacher": "teachers",
    "student": "students",
    "shortcut_removal": "shortcut_removals",
    "loss": "losses",
}

LOGARITHMIC = ("temperature", "learning_rate", "loss_weight_factor")

# Ranges that are not searched unless asked for.
_OPTIONAL = ("learning_rate", "alpha_epochs", "loss_weight_factor")
