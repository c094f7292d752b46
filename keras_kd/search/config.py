"""What a search is asked for: the space, the tuner, the seeds, and how it measures."""

import dataclasses

from keras_kd.utils import limits, specs

# What may be searched beside temperature and alpha.
CHOICES = (
    "learning_rate",
    "alpha_epochs",
    "teacher",
    "student",
    "shortcut_removal",
    "loss",
    "loss_weight_factor",
)

# To choose from where nothing else is said; the default setting has the first.
LOSSES = ("kd", "dkd", "dist", "kd+at")

SHORTCUT_REMOVALS = ("none", "fade", "fade:fade_end=0.6")

TUNERS = ("random", "bayesian", "hyperband", "grid")

OBJECTIVES = ("accuracy", "loss")

RANGES = {
    "trials": limits.TRIALS,
    "seeds_per_trial": limits.SEEDS,
    "hyperband_factor": limits.FACTOR,
}

# What both ends of a range may be.
BOUNDS = {
    "temperature": limits.TEMPERATURE,
    "alpha": limits.ALPHA,
    "learning_rate": limits.LEARNING_RATE,
    "loss_weight_factor": limits.WEIGHT_FACTOR,
}


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """A search, but for data, recipe and networks.

    Attributes:
      tuner: one of `TUNERS`.
      trials: how many settings; of a grid and of Hyperband's at most so many, 0: all.
      seeds_per_trial: trainings of each setting, whose mean is its score.
      objective: one of `OBJECTIVES`, on validation.
      searched: names of `CHOICES` that are searched beside temperature and alpha.
      temperature, alpha, learning_rate: `(low, high)` of the space.
      loss_weight_factor: likewise, of what the weight of a loss beside kd is multiplied by.
      teachers: paths of the teachers to choose from.
      students: networks to choose from, as `models.registry.build_for` takes them.
      shortcut_removals: ways to lose shortcuts to choose from, as `shortcut_removal.parse_spec` reads them;
        empty means `SHORTCUT_REMOVALS` where they are searched.
      losses: to choose from, as `distillation.recipes.parse_spec` reads them, or with ranges as values of
        options, as in "dkd:temperature=1..8", which are searched where that loss is chosen; empty means
        `LOSSES` where they are searched. Temperature and alpha say something of those with kd alone.
      hyperband_factor: of Hyperband's rounds one of so many settings goes on.
      usual: `{hyperparameter: value}` of the default setting, which the best is compared with.

    Raises:
      ValueError: for what cannot be searched, or teachers or ways without a choice among them.
    """

    tuner: str = "random"
    trials: int = 8
    seeds_per_trial: int = 2
    objective: str = "accuracy"
    searched: tuple = ()
    temperature: tuple = (1.0, 16.0)
    alpha: tuple = (0.0, 1.0)
    learning_rate: tuple = (0.005, 0.1)
    loss_weight_factor: tuple = (0.1, 10.0)
    teachers: tuple = ()
    students: tuple = ()
    shortcut_removals: tuple = ()
    losses: tuple = ()
    hyperband_factor: int = 3
    usual: dict = dataclasses.field(default_factory=lambda: {"temperature": 4.0, "alpha": 0.9})

    def __post_init__(self):
        limits.check_choice("tuner", self.tuner, TUNERS)
        limits.check_choice("objective", self.objective, OBJECTIVES)
        for name, allowed in RANGES.items():
            allowed.check(name, getattr(self, name))
        for name, allowed in BOUNDS.items():
            low, high = getattr(self, name)
            allowed.check(f"{name}_low", low)
            allowed.check(f"{name}_high", high)
            if low > high:
                raise ValueError(f"the bounds of {name} are reversed. Received: {low} to {high}")
        limits.check_each_once("search", self.searched)
        unknown = [name for name in self.searched if name not in CHOICES]
        if unknown:
            raise ValueError(f"search takes {', '.join(CHOICES)}. Received: {', '.join(unknown)}")
        self._check_named("teacher", "teachers", "files")
        self._check_named("student", "students", "networks")
        self._check_chosen("shortcut_removal", "shortcut_removals")
        self._check_chosen("loss", "losses")
        if "loss_weight_factor" in self.searched and "loss" not in self.searched:
            raise ValueError("loss_weight_factor weighs the losses to choose from: search loss with it")
        if "shortcut_removal" in self.searched and self.tuner == "hyperband":
            raise ValueError(
                "tuner='hyperband' would judge networks that still have shortcuts: search shortcut_removal "
                "with another tuner"
            )

    def _check_named(self, name, plural, what):
        """Raises a ValueError where what has no usual ones to choose from is searched without any, or not."""
        given = getattr(self, plural)
        limits.check_each_once(plural, given)
        if (name in self.searched) != bool(given) or len(given) == 1:
            raise ValueError(f"searching the {name} needs two {what} or more in {plural}, and they need it")

    def _check_chosen(self, name, plural):
        given = getattr(self, plural)
        limits.check_each_once(plural, given)
        if (given and name not in self.searched) or (len(given) == 1 and not self._has_range(name)):
            raise ValueError(
                f"{plural} are two or more, to choose from where {name} is searched. "
                f"Received: {', '.join(given)}"
            )

    def _has_range(self, name):
        """Whether an option of a loss is searched, so that one loss leaves a choice."""
        return name == "loss" and any(map(specs.is_range, self.losses))

    def seeds(self, first):
        """Of the students of a trial; the data and the teacher have the first."""
        return [first + number for number in range(self.seeds_per_trial)]
