"""What a search is asked for: the space, the tuner, the seeds, and how it measures."""

import dataclasses

from keras_kd.utils import limits

# What may be searched beside temperature and alpha.
CHOICES = ("learning_rate", "alpha_epochs", "teacher", "shortcut_removal")

# To choose from where nothing else is said; the default setting has the first.
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
      teachers: paths of the teachers to choose from.
      shortcut_removals: ways to lose shortcuts to choose from, as `shortcut_removal.parse_spec` reads them;
        empty means `SHORTCUT_REMOVALS` where they are searched.
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
    teachers: tuple = ()
    shortcut_removals: tuple = ()
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
        limits.check_each_once("teachers", self.teachers)
        unknown = [name for name in self.searched if name not in CHOICES]
        if unknown:
            raise ValueError(f"search takes {', '.join(CHOICES)}. Received: {', '.join(unknown)}")
        if ("teacher" in self.searched) != bool(self.teachers) or len(self.teachers) == 1:
            raise ValueError("searching the teacher needs two files or more in teachers, and they need it")
        self._check_removals()

    def _check_removals(self):
        limits.check_each_once("shortcut_removals", self.shortcut_removals)
        is_searched = "shortcut_removal" in self.searched
        if (self.shortcut_removals and not is_searched) or len(self.shortcut_removals) == 1:
            raise ValueError(
                f"shortcut_removals are two ways or more, to choose from where shortcut_removal is searched. "
                f"Received: {', '.join(self.shortcut_removals)}"
            )
        if is_searched and self.tuner == "hyperband":
            raise ValueError(
                "tuner='hyperband' would judge networks that still have shortcuts: search shortcut_removal "
                "with another tuner"
            )

    def seeds(self, first):
        """Of the students of a trial; the data and the teacher have the first."""
        return [first + number for number in range(self.seeds_per_trial)]
