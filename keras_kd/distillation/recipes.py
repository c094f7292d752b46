"""Which losses teach a student, and how they are weighed, as one text.

recipe = recipes.parse_spec("kd+at:weight=500")
distiller = keras_kd.Distiller(teacher, student, **recipe.arguments(steps=1000))
"""

import dataclasses
import inspect
import re

import keras

from keras_kd import losses
from keras_kd.distillation import compatibility, terms
from keras_kd.utils import limits, specs

KD = "kd"

# What is said of it beside its name, for all losses together.
OF_KD = ("temperature", "alpha", "alpha_epochs")

# Of every loss but KD, whose weight is alpha.
_WEIGHING = ("weight", "warmup")

_LAYERS = ("teacher_layers", "student_layers")


@dataclasses.dataclass(frozen=True)
class Part:
    """One loss of a recipe, with the weight that its source gives it unless another is said.

    Attributes:
      name: of `losses.NAMES`.
      options: `{name: value}` of what is not as the source has it: of the class, `weight` or `warmup`.

    Raises:
      ValueError: for an unknown name or option, or a value out of range.
    """

    name: str
    options: dict

    def __post_init__(self):
        usual = usual_options(self.name)
        if self.name == KD and self.options:
            raise ValueError(
                f"temperature and alpha of kd are settings of their own. Received: options {self.options}"
            )
        specs.check_options("loss", self.name, self.options, list(usual))
        for name, value in self.options.items():
            if specs.is_range(value):
                raise ValueError(
                    f"{name} of {self.name} is one value here: ranges belong to the losses of a search, "
                    f"`keras-kd search --losses`. Received: {name}={value}"
                )
        limits.LOSS_WEIGHT.check("weight", self.weight)
        limits.SHARE.check("warmup", self.warmup)
        kept = {name: value for name, value in self.options.items() if value != usual[name]}
        object.__setattr__(self, "options", kept)

    @property
    def kind(self):
        """The class of its loss."""
        return losses.NAMES[self.name]

    @property
    def weight(self):
        return self.options.get("weight", self.kind.weight)

    @property
    def warmup(self):
        return self.options.get("warmup", self.kind.warmup)

    def weighed(self, factor):
        """The same loss with its weight times a factor."""
        return Part(self.name, self.options | {"weight": self.weight * factor})

    def loss(self):
        """A new loss of its kind, with its options."""
        return self.kind(**{name: value for name, value in self.options.items() if name not in _WEIGHING})

    def term(self, steps):
        """`(weight, loss)` for a training of so many steps, as a Distiller's `terms` have it."""
        weight, rising = self.weight, round(self.warmup * steps)
        if rising:
            weight = keras.optimizers.schedules.PolynomialDecay(0.0, rising, weight)
        return weight, self.loss()


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The losses of a distillation.

    Attributes:
      parts: one `Part` or more, each loss once.

    Raises:
      ValueError: where a loss is named twice.
    """

    parts: tuple[Part, ...]

    def __post_init__(self):
        limits.check_each_once("loss", [part.name for part in self.parts])
        for part in self.parts:
            part.loss()  # says what is wrong with an option

    @property
    def text(self):
        """The spec of which `parse_spec` makes it again."""
        return "+".join(specs.as_text(part.name, part.options) for part in self.parts)

    @property
    def has_kd(self):
        """Whether temperature and alpha say something: the teacher's softened logits are among the losses."""
        return KD in [part.name for part in self.parts]

    @property
    def asks_layers(self):
        """Whether some loss looks at layers, so that the teacher's logits alone will not do."""
        return any(issubclass(part.kind, losses.FeatureTerm) for part in self.parts)

    @property
    def compares_examples(self):
        """Whether some loss compares the examples of a batch."""
        return any(part.kind.compares_examples for part in self.parts)

    def weighed(self, factor):
        """The same losses, with the weights of those beside KD times a factor."""
        return Recipe(tuple(part if part.name == KD else part.weighed(factor) for part in self.parts))

    def student_of(self, teacher, student):
        """The network to train and keep: the student itself, or one that the loss builds of it (SimKD)."""
        for part in self.parts:
            student = part.loss().student_of(teacher, student)
        return student

    def check(self, teacher, student, *, independent=False):
        """Raises a ValueError for networks or labels that some loss cannot do with.

        Args:
          teacher, student: the networks.
          independent: whether labels say yes or no of each class.
        """
        found = self.arguments(1)["terms"]
        if independent:
            terms.check_independent(found)
        for term in terms.named_terms(found, teacher, student).values():
            term.check_outputs(compatibility.output_count(student))

    def arguments(self, steps, *, temperature=4.0, alpha=0.9):
        """What `keras_kd.Distiller` takes of it.

        Args:
          steps: of the whole training.
          temperature, alpha: of KD; without it alpha is 0, and the labels weigh the largest of what the
            sources of the losses give them.

        Returns:
          `{"temperature": ..., "alpha": ..., "label_weight": ..., "terms": ...}`.
        """
        others = [part for part in self.parts if part.name != KD]
        found = {"temperature": temperature, "terms": [part.term(steps) for part in others]}
        if self.has_kd:
            return found | {"alpha": alpha, "label_weight": None}
        return found | {"alpha": 0.0, "label_weight": max(part.kind.label_weight for part in others)}


def of_setting(values):
    """The `Recipe` of a search's setting, `{hyperparameter: value}`; without a loss, KD."""
    recipe = parse_spec(values.get("loss", KD))
    return recipe.weighed(values.get("loss_weight_factor", 1.0))


def usual_options(name):
    """`{option: value}` of a loss as its source has it: of the class, then `weight` and `warmup`.

    Raises:
      ValueError: for an unknown name.
    """
    kind = specs.find("loss", name, losses.NAMES)
    usual = {option: each.default for option, each in inspect.signature(kind).parameters.items()}
    return usual | {option: getattr(kind, option) for option in _WEIGHING}


def named_options(text):
    """`[(name, {option: value})]` of the losses of a spec, as they are written."""
    return [specs.parse("loss", part, texts=_LAYERS) for part in re.split(r"\+(?=\s*[A-Za-z])", str(text))]


def parse_spec(text, *, weight=None, layers=None):
    """The `Recipe` of a spec.

    Args:
      text: names of `losses.NAMES` with "+" between them, each with options: "kd", "dkd:temperature=2",
        "kd+at:weight=500". A loss that its source adds to KD brings it along.
      weight: of the one loss beside KD, in place of its source's.
      layers: `(names in the teacher, names in the student)` for all losses that look at layers.

    Raises:
      ValueError: for what `Part` and `Recipe` refuse, and a weight or layers that no loss takes.
    """
    named = named_options(text)
    weighed = [options for name, options in named if name != KD]
    if weight is not None:
        if len(weighed) != 1 or "weight" in weighed[0]:
            raise ValueError(
                f"one weight is for one loss beside kd: write it as in kd+at:weight=500. "
                f"Received: {str(text)!r}"
            )
        weighed[0]["weight"] = weight
    if layers is not None:
        _name_layers(text, named, layers)
    parts = tuple(Part(name, options) for name, options in named)
    if any(part.kind.beside_kd for part in parts) and KD not in [part.name for part in parts]:
        parts = (Part(KD, {}), *parts)
    return Recipe(parts)


def _name_layers(text, named, layers):
    """Gives layers to those of the `(name, options)` of a text whose losses look at some."""
    looking = [
        options
        for name, options in named
        if issubclass(specs.find("loss", name, losses.NAMES), losses.FeatureTerm)
    ]
    if not looking:
        raise ValueError(f"no loss of {str(text)!r} looks at layers. Received: layers {layers}")
    if any(option in options for options in looking for option in _LAYERS):
        raise ValueError(
            f"layers are given in the text of a loss or apart from it, not both. "
            f"Received: {str(text)!r} and layers {layers}"
        )
    for options in looking:
        options |= dict(zip(_LAYERS, map(tuple, layers), strict=True))


def as_recipe(loss):
    """The `Recipe` that is given as such or as its text."""
    return loss if isinstance(loss, Recipe) else parse_spec(loss)
