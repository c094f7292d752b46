"""Flags that say which losses teach the student, and the recipe that they ask for."""

from keras_kd.cli.flags import TEACHER, Group
from keras_kd.utils import limits


def define(values):
    """Which losses teach the student."""
    loss = Group(values, TEACHER)
    loss.text("loss", None, "kd if not given; dkd, kd+at, ...: see docs/methods.md.")
    loss.number(
        "loss_weight", None, "Of the one loss beside kd; its source's if not given.", limits.LOSS_WEIGHT
    )
    words = "That losses compare: names, or TEACHER=STUDENT; ends of stages if not given."
    loss.texts("layers", None, words)


def recipe_of(values):
    """The `Recipe` that flags ask for.

    Raises:
      ValueError: for an unknown loss or option, or flags that the losses have no use for.
    """
    from keras_kd.distillation import recipes

    text, weight = values.loss or recipes.KD, values.loss_weight
    try:
        recipe = recipes.parse_spec(text, weight=weight, layers=_pairs(values.layers))
    except ValueError as error:
        raise error if weight is None else ValueError(f"--loss_weight={weight}: {error}") from None
    _check_others(values, text, recipe)
    return recipe


def _pairs(layers):
    """`(names in the teacher, names in the student)` of `NAME` or `TEACHER=STUDENT`; None of none."""
    pairs = [name.partition("=") for name in layers or ()]
    return ([each[0] for each in pairs], [each[2] or each[0] for each in pairs]) if pairs else None


def _check_others(values, text, recipe):
    """Raises a ValueError for other flags that a recipe has no use for, or cannot do with."""
    from keras_kd.distillation import recipes

    unused = [name for name in recipes.OF_KD if values[name].value != values[name].default]
    if unused and not recipe.has_kd:
        raise ValueError(
            f"--{unused[0]} belongs to kd: write --loss=kd+{recipe.text}, or an option as in "
            f"--loss=dkd:temperature=2. Received: --loss={text}"
        )
    if recipe.asks_layers and values.teacher_views:
        raise ValueError(
            f"--loss={text} looks at the teacher's layers, which are asked at each step: leave out "
            f"--teacher_views. Received: --teacher_views={values.teacher_views}"
        )
    replicas = max(values.replicas, 1) if values.strategy == "mirrored" else 1
    if recipe.compares_examples and values.batch_size < 2 * replicas:
        of_each = f", of which each of --replicas={replicas} has its share" if replicas > 1 else ""
        raise ValueError(
            f"--loss={text} compares the examples of a batch: take a larger --batch_size. "
            f"Received: --batch_size={values.batch_size}{of_each}"
        )
