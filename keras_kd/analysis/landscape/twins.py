"""Which networks have planes and lines in common: twins share their weights name for name."""

import itertools

from keras_kd.models import weights


def twins_of(points):
    """Lists of labels of networks whose weights have the same names and shapes.

    Args:
      points: `{label: {path: array}}`.
    """
    found = {}
    for label, point in points.items():
        found.setdefault(tuple(sorted((p, w.shape) for p, w in point.items())), []).append(label)
    return list(found.values())


def kinds_of(networks, labels):
    """The first label of each kind of network among some; `networks` are `{label: keras.Model}`."""
    kinds = {}
    for label in labels:
        kinds.setdefault(weights.structure(networks[label]), label)
    return list(kinds.values())


def lines_of(networks, points):
    """`[(label, label)]`: every two twins of one kind, which a line joins."""
    return [
        pair
        for labels in twins_of(points)
        for pair in itertools.combinations(labels, 2)
        if len(kinds_of(networks, pair)) == 1
    ]


def plane_title(labels):
    """What the plane through three networks is called."""
    return f"through {', '.join(labels)}"
