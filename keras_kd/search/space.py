"""What a search may choose: temperature and alpha, and when asked for more of how a student is taught.

space = SearchSpace(temperature=(1.0, 16.0), alpha=(0.0, 1.0))
space.declare(hyperparameters)  # of keras-tuner
space.grid(12)  # twelve settings, spread evenly
"""

import dataclasses
import functools
import math

from keras_kd.distillation import shortcut_removal
from keras_kd.losses import check_alpha, check_temperature
from keras_kd.search import grids, loss_choices
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
      losses: specs of losses, likewise, kept as `loss_choices.parse` writes them. An option that is a range,
        "dkd:temperature=1..8", is searched where that loss is chosen, and makes one loss a choice.
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
        object.__setattr__(self, "losses", tuple(loss_choices.parse(text).text for text in self.losses))
        for name in CHOSEN.values():
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"the {name} must differ. Received: {', '.join(getattr(self, name))}")

    def _ranges(self):
        found = ["temperature", "alpha"]
        return found + [name for name in _OPTIONAL if getattr(self, name)]

    @property
    def names(self):
        """Of what is searched, in order."""
        return [*self._ranges(), *self.chosen]

    @property
    def chosen(self):
        """Of what is chosen from a list."""
        return [
            name
            for name in CHOSEN
            if len(self.values_of(name)) > 1 or (name == "loss" and self.searches_options)
        ]

    @functools.cached_property
    def loss_choices(self):
        """A `loss_choices.LossChoice` for each of the losses."""
        return tuple(map(loss_choices.parse, self.losses))

    @property
    def searches_options(self):
        """Whether an option of some loss is searched."""
        return any(choice.ranges for choice in self.loss_choices)

    def values_of(self, name):
        """`(low, high)` of a name, or all that it is chosen from."""
        return getattr(self, CHOSEN.get(name, name))

    def usual(self, name):
        """What the default setting has of a name that is chosen from a list: the first.

        The searched options of a loss are as its source has them.
        """
        return self.loss_choices[0].usual.text if name == "loss" else self.values_of(name)[0]

    def declare(self, hyperparameters):
        """Tells a `keras_tuner.HyperParameters` of this space; returns the values that it holds, by name.

        A loss whose options are searched is told with their values, which stand beside it too.
        """
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
        return values | self._declare_options(hyperparameters, values.get("loss"))

    def _declare_options(self, hyperparameters, chosen):
        """The searched options of the chosen loss, and the loss with them; those of others are not active."""
        found = {}
        for choice in self.loss_choices:
            if not choice.ranges:
                continue
            with hyperparameters.conditional_scope("loss", [choice.text]):
                values = {
                    each.name: hyperparameters.Float(
                        each.name, each.low, each.high, sampling="log" if each.is_logarithmic else "linear"
                    )
                    for each in choice.ranges
                }
            if choice.text == chosen:
                options = {each.name: each.rounded(values[each.name]) for each in choice.ranges}
                found = {"loss": choice.at(options), **options}
        return found

    def grid(self, most):
        """Settings spread evenly, as many as fit a full grid of at most `most`: see `grids.settings`."""
        return grids.settings(self, most)

    def points(self, name, count):
        """So many values of one axis, or as many as there are; one lies in the middle."""
        if name in CHOSEN:
            return list(self.values_of(name))
        low, high = getattr(self, name)
        values = grids.spread(low, high, count, name in LOGARITHMIC)
        return sorted({round(value) for value in values}) if name == "alpha_epochs" else values


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
