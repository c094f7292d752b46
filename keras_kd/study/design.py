"""The runs of a study as points of its axes: what each trains, and who teaches it."""

import dataclasses
import functools
import re

from keras_kd.data import augmentation
from keras_kd.distillation import recipes, shortcut_removal
from keras_kd.models import block_specs, registry
from keras_kd.utils import limits, seeding, specs
from keras_kd.utils.checks import plain

KD = " + KD"

# The last two are of networks that a spec names, of which there is no twin.
SPECIFIED = "network"
VARIANTS = ("residual", "plain", f"residual{KD}", f"plain{KD}", SPECIFIED, f"{SPECIFIED}{KD}")

# What a spec says of a network by itself.
SIZES = ("depth", "width", "dropout")

# What says something where there is a teacher.
_TAUGHT = ("loss", *recipes.OF_KD)

CONTROLS = ("smoothing", "shuffled", "untrained")


def for_files(spec):
    """A spec as part of a file's name."""
    return re.sub(r"[:/\\,]", "-", spec).replace("=", "")


def _one_of(choices):
    def check(name, value):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}. Received: {value!r}")

    return check


def _check_spec(name, value):
    if value is not None and not specs.is_file(value):
        registry.parse_spec(value)


# The axes of a study, but for the teacher: what may be said of each.
AXES = {
    "depth": lambda name, value: value is None or block_specs.cifar_plan(value),
    "variant": _one_of(VARIANTS),
    "width": lambda name, value: value is None or limits.WIDTH.check(name, value),
    "dropout": limits.Range(0, 0.9).check,
    "weight_decay": limits.Range(0, 1).check,
    "augmentation": lambda name, value: augmentation.parse(value),
    "label_fraction": limits.TRAINING_SHARE.check,
    "loss": lambda name, value: recipes.parse_spec(value),
    "temperature": limits.TEMPERATURE.check,
    "alpha": limits.ALPHA.check,
    "alpha_epochs": limits.ALPHA_EPOCHS.check,
    "shortcut_removal": lambda name, value: shortcut_removal.parse_spec(value),
    "student": _check_spec,
    "initial_weights": _one_of(seeding.STARTS),
    "seed": limits.SEED.check,
}

# What the axis `loss` is called where a run's cross-entropy stands beside it.
DISTILLATION_LOSS = "distillation_loss"

# What is said of a run in tables and files, beside its seed.
COLUMNS = (
    "variant",
    "teacher",
    "teacher_control",
    *(DISTILLATION_LOSS if name == "loss" else name for name in AXES if name not in ("variant", "seed")),
)


# Axes that earlier versions lack, and what is not said of them: all their runs had it.
LATER = {"student": None, "initial_weights": seeding.SHARED}


# Of a network that a spec names, in layers and channels: large ones begin first.
_UNKNOWN_SIZE = (56, 16)


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: a point of the study's axes. It names its folder.

    Attributes:
      depth: 6n+2 layers; None where `student` names the network.
      variant: "residual", "plain" or, of such networks, "network"; with " + KD" where a teacher teaches.
      width: channels of the first stage; likewise.
      dropout: rate between the convolutions of a block.
      weight_decay: of kernels.
      augmentation: see `sampling.batch_schedule`.
      label_fraction: share of the training examples that it sees, in about as many steps.
      teacher: a `Teacher`, where the variant has one.
      loss: of the distillation, as `recipes.parse_spec` reads it.
      temperature, alpha: of kd, as for `keras_kd.Distiller`.
      alpha_epochs: alpha falls to 0 after so many epochs (of all training examples); 0: the teacher stays.
      shortcut_removal: how the student loses its shortcuts, as `shortcut_removal.parse_spec` reads it.
      student: a network as `registry.build_for` takes it, in place of depth, width and dropout.
      initial_weights: "shared": those of the seed, with which its twins and its teacher begin too; "own":
        others. Either a student or its teacher has its own, not both.
      seed: of the initial weights and the batches.

    Raises:
      ValueError: for a value that an axis does not have; the message begins with the axis's name.
    """

    depth: int | None = None
    variant: str = "residual"
    width: int | None = 16
    dropout: float = 0.0
    weight_decay: float = 1e-4
    augmentation: str = "auto"
    label_fraction: float = 1.0
    teacher: "Teacher | None" = None
    loss: str = recipes.KD
    temperature: float = 4.0
    alpha: float = 0.9
    alpha_epochs: int = 0
    shortcut_removal: str = "none"
    student: str | None = None
    initial_weights: str = seeding.SHARED
    seed: int = 0

    def __post_init__(self):
        for name, check in AXES.items():
            check(name, getattr(self, name))
            object.__setattr__(self, name, plain(getattr(self, name)))
        self._check_network()
        if self.is_taught != (self.teacher is not None):
            raise ValueError(
                f"teacher must be given where the variant ends in {KD!r}, and only there. "
                f"Received: variant={self.variant!r}, teacher={self.teacher!r}"
            )
        self._check_removal()
        self._check_loss()
        self._check_start()
        for name in ("dropout", "weight_decay", "label_fraction", "temperature", "alpha"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not self.is_taught:  # so that what does not matter makes no difference
            for name in _TAUGHT:
                object.__setattr__(self, name, getattr(Run, name))

    def _check_network(self):
        if self.student is None:
            block_specs.cifar_plan(self.depth, self.width)  # together they may be too large
        else:
            for name, value in zip(SIZES, (None, None, 0.0), strict=True):
                object.__setattr__(self, name, value)
        if (self.student is None) == self.variant.startswith(SPECIFIED):
            raise ValueError(
                f"a student that is named by a spec has the variant {SPECIFIED!r} or '{SPECIFIED}{KD}', and "
                f"no other has. Received: student={self.student!r}, variant={self.variant!r}"
            )

    def _check_removal(self):
        removal = shortcut_removal.parse_spec(self.shortcut_removal)
        object.__setattr__(self, "shortcut_removal", shortcut_removal.format_spec(removal))
        if self.loses_shortcuts and self.has_shortcuts:
            raise ValueError(
                f"shortcut_removal is for plain networks. Received: "
                f"shortcut_removal={self.shortcut_removal!r}, variant={self.variant!r}"
            )
        if removal.needs_teacher and not self.is_taught:
            raise ValueError(
                f"shortcut_removal={removal.name!r} needs a residual teacher. "
                f"Received: variant={self.variant!r}"
            )

    def _check_loss(self):
        recipe = recipes.parse_spec(self.loss)
        object.__setattr__(self, "loss", recipe.text)
        if not self.is_taught or recipe.has_kd:
            return
        for name in recipes.OF_KD:
            if getattr(self, name) != getattr(Run, name):
                raise ValueError(
                    f"{name} belongs to kd, which loss={self.loss!r} lacks: write it as in "
                    f"dkd:temperature=2. Received: {name}={getattr(self, name)!r}"
                )

    def _check_start(self):
        if self.is_taught and seeding.OWN == self.initial_weights == self.teacher.network.initial_weights:
            raise ValueError(
                "student and teacher would begin with the same weights again: give initial_weights='own' to "
                "one of them. Received: 'own' for both"
            )

    @property
    def loses_shortcuts(self):
        """Whether it has shortcuts, or branches in their place, that are gone when it is trained."""
        return self.shortcut_removal != shortcut_removal.NoRemoval.name

    @property
    def is_taught(self):
        """Whether a teacher takes part."""
        return self.variant.endswith(KD)

    @property
    def has_shortcuts(self):
        return self.variant.startswith("residual")

    def __hash__(self):
        return hash(self.key)

    @property
    def spec(self):
        """The network before training, for `registry.build_for`."""
        if self.student is not None:
            return self.student
        return registry.format_spec(
            "cifar_resnet",
            self.depth,
            width=self.width,
            shortcuts=self.has_shortcuts,
            dropout=self.dropout,
        )

    @functools.cached_property
    def network(self):
        """Short for the network and what regularises it: "p20w8", "r32w16-wd0.005"."""
        text = (
            f"{self.variant[0]}{self.depth}w{self.width}" if self.student is None else for_files(self.student)
        )
        for short, name in (("do", "dropout"), ("wd", "weight_decay"), ("lf", "label_fraction")):
            value = getattr(self, name)
            if value != getattr(Run, name):
                text += f"-{short}{value:g}"
        if self.loses_shortcuts:
            text += "-" + for_files(self.shortcut_removal)
        if self.augmentation != "auto":
            text += "-" + for_files(self.augmentation)
        return text if self.initial_weights == seeding.SHARED else f"{text}-{self.initial_weights}"

    @functools.cached_property
    def condition(self):
        """Names what the run shares with those of other seeds."""
        if not self.is_taught:
            return self.network
        text = f"{self.network}-kd-{self.teacher.condition}"
        if recipes.parse_spec(self.loss).has_kd:
            text += f"-T{self.temperature:g}-a{self.alpha:g}"
            text += f"-k{self.alpha_epochs}" if self.alpha_epochs else ""
        return text if self.loss == recipes.KD else f"{text}-{for_files(self.loss)}"

    @functools.cached_property
    def key(self):
        """Name of the folder."""
        return f"{self.condition}-s{self.seed}"

    @functools.cached_property
    def alone(self):
        """The same network, trained on labels alone, and as it is from the first step."""
        variant = self.variant.removesuffix(KD)
        return dataclasses.replace(self, variant=variant, teacher=None, shortcut_removal="none")

    @functools.cached_property
    def baseline(self):
        """The residual network of this depth and width, trained on labels alone, as the paper compares.

        None where a spec names the network.
        """
        if self.student is not None:
            return None
        return dataclasses.replace(self.alone, variant="residual")

    @property
    def needs(self):
        """The run that must be there before, or None."""
        return self.teacher.trained if self.is_taught else None

    @property
    def needs_all(self):
        """The runs that must be there before, each before those that need it."""
        return [] if self.needs is None else [*self.needs.needs_all, self.needs]

    @property
    def cost(self):
        """About how much work it is, in no unit: layers times channels, and what each training costs."""
        depth, width = (self.depth, self.width) if self.student is None else _UNKNOWN_SIZE
        return (depth + 10) * (width + 8)

    def describe(self):
        """`{axis: text or number}`: its row of the results, teacher spelled out; `LATER` only if given."""
        found = {name: getattr(self, name, None) for name in (*COLUMNS, "seed")}
        for name, usual in LATER.items():
            if found[name] == usual:
                del found[name]  # as in results of earlier versions
        found[DISTILLATION_LOSS] = self.loss
        if self.teacher:
            return found | {"teacher": self.teacher.condition, "teacher_control": self.teacher.control}
        return found | dict.fromkeys((DISTILLATION_LOSS, *recipes.OF_KD))


@dataclasses.dataclass(frozen=True)
class Teacher:
    """Who teaches.

    Attributes:
      network: the `Run` that trains the teacher, which may be taught itself: by an assistant's teacher (TAKD,
        arXiv:1902.03393), or by an earlier self (born-again networks, arXiv:1805.04770). Where its `student`
        is a file, that is the teacher and nothing trains it.
      control: None, or what is taught instead of its logits, to tell guidance from mere regularisation:
        "smoothing" (labels, smoothed to the mean entropy of the teacher's soft targets), "shuffled" (its
        logits, of a random example of the same class), "untrained" (the logits of such a network before
        any training).

    Raises:
      ValueError: for an unknown control, or one of a teacher that is taught itself.
    """

    network: Run
    control: str | None = None

    def __post_init__(self):
        if self.control is not None:
            _one_of(CONTROLS)("control", self.control)
            if self.network.is_taught:
                raise ValueError(
                    f"a control is made of a teacher that is trained on labels alone. "
                    f"Received: {self.network.condition!r}"
                )

    @property
    def condition(self):
        """Its name in the names of runs."""
        return f"{self.control}-{self.network.network}" if self.control else self.network.condition

    @property
    def trained(self):
        """The run that trains it; None for the control that is not trained, and for a network in a file."""
        return None if self.control == "untrained" or self.is_given else self.network

    @property
    def is_given(self):
        """Whether it is the trained network in a file."""
        return self.control != "untrained" and specs.is_file(self.network.student)
