"""Grids: settings spread evenly over a space, in which each loss has the axes of its own options."""

import itertools
import math

import numpy as np

from keras_kd.distillation import recipes


def settings(space, most):
    """Settings spread evenly, as many as fit a full grid of at most `most`.

    The axis with the fewest points gets the next one, so that 12 trials of two are 4 x 3. An option that is
    searched is an axis of its own loss alone; the losses take turns.

    Args:
      space: a `space.SearchSpace`.
      most: the number of trials.

    Returns:
      `[{name: value}]`, as a `keras_tuner.HyperParameters` of the space holds them.

    Raises:
      ValueError: if there are more choices than trials.
    """
    grids = _grids(space)
    counts = _counts(space, grids, most)
    rows = [
        [
            dict(zip(map(_name, axes), values, strict=True)) | fixed
            for values in itertools.product(*(_points(space, axis, counts[axis]) for axis in axes))
        ]
        for axes, fixed in grids
    ]
    return [row for turn in itertools.zip_longest(*rows) for row in turn if row is not None]


def spread(low, high, count, is_logarithmic):
    """So many numbers from `low` to `high`, one if those are equal; a single one lies in the middle."""
    if low == high:
        return [low]
    shares = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
    return (low * (high / low) ** shares if is_logarithmic else low + (high - low) * shares).tolist()


def _grids(space):
    """`[(axes, {name: fixed value})]` of each loss, or the one without a choice among losses.

    An axis is a name of the space, or `(loss, loss_choices.OptionRange)`.
    """
    shared = [name for name in space.names if name != "loss"]
    if "loss" not in space.names:
        return [(shared, {})]
    found = []
    for choice in space.loss_choices:
        idle = _idle(choice, shared) if space.searches_options else []
        fixed = {name: space.points(name, 1)[0] for name in idle} | {"loss": choice.text}
        own = [(choice.text, each) for each in choice.ranges]
        found.append(([name for name in shared if name not in idle] + own, fixed))
    return found


def _idle(choice, names):
    """Names that say nothing of a loss."""
    parts = choice.usual.parts
    of_others = () if choice.usual.has_kd else recipes.OF_KD
    of_others += () if len(parts) > 1 or not choice.usual.has_kd else ("loss_weight_factor",)
    return [name for name in names if name in of_others]


def _counts(space, grids, most):
    """`{axis: number of points}`; all that a choice is made from, or it would not be a choice."""
    axes = list(dict.fromkeys(axis for axes, _ in grids for axis in axes))
    counts = {axis: len(space.values_of(axis)) if axis in space.chosen else 1 for axis in axes}
    if _size(grids, counts) > most:
        raise ValueError(
            f"a grid needs a trial for each {' and '.join(space.chosen)}, {_size(grids, counts)}. "
            f"Received: {most}"
        )
    growing = [axis for axis in axes if axis not in space.chosen and len(_points(space, axis, 2)) > 1]
    while growing:
        axis = min(growing, key=lambda axis: (counts[axis], growing.index(axis)))
        more = counts | {axis: counts[axis] + 1}
        if _size(grids, more) > most or len(_points(space, axis, more[axis])) < more[axis]:
            growing.remove(axis)
        else:
            counts = more
    return counts


def _size(grids, counts):
    return sum(math.prod(counts[axis] for axis in axes) for axes, _ in grids)


def _points(space, axis, count):
    """So many values of an axis, or as many as there are."""
    if isinstance(axis, str):
        return space.points(axis, count)
    _, each = axis
    return spread(each.low, each.high, count, each.is_logarithmic)


def _name(axis):
    return axis if isinstance(axis, str) else axis[1].name
