"""What compares networks by their numbers: means over what all have, likeness, what a block costs."""

import dataclasses
import itertools

import numpy as np

from keras_kd.analysis.reuse.results import LesionDifference
from keras_kd.utils.files import plain_values

OF_BRANCHES = ("ratio", "cosine")


def lesion_differences(right):
    """The `LesionDifference` of each two networks.

    Args:
      right: `{label: [1 + blocks, images]}`, whether each image is classified right: by the whole network,
        then with each block silenced, the same blocks for all.
    """
    drops = {}
    for label, (intact, *silenced) in right.items():
        drops[label] = np.asarray(intact, np.float64) - np.mean(silenced, axis=0)
    found = []
    for one, other in itertools.combinations(drops, 2):
        more = drops[one] - drops[other]
        found.append(LesionDifference(one, other, float(more.mean()), float(more.std(ddof=1))))
    return found


def with_branch_means(networks):
    """Adds to each network the means over the blocks for which all have the number."""
    with_blocks = [network for network in networks if network.has_blocks]
    shared = {}
    for name in OF_BRANCHES:
        defined = [
            [block for block, branch in network.branches.items() if getattr(branch, name) is not None]
            for network in with_blocks
        ]
        shared[f"branch_{name}"] = name, in_all(defined)

    def means(network):
        return {
            field: mean(getattr(network.branches[block], name) for block in blocks_of_all)
            for field, (name, blocks_of_all) in shared.items()
        }

    return [dataclasses.replace(each, **means(each)) if each.has_blocks else each for each in networks]


def in_all(lists):
    """What stands in every list, in the order of the first."""
    return [each for each in lists[0] if all(each in other for other in lists)] if lists else []


def similar(label, first, similarities):
    """How like neighbours are, and like the first network's layers in the same place."""
    own = np.array(similarities[label, label].values, float)
    against = np.array(similarities[first, label].values, float)
    neighbours = np.mean(np.diagonal(own, 1)) if len(own) > 1 else None
    same_place = np.mean(np.diagonal(against)) if against.shape[0] == against.shape[1] else None
    return plain_values({"cka_neighbours": neighbours, "cka_first": same_place})


def mean(values):
    """The mean of an iterable of numbers; None of none."""
    values = list(values)
    return float(np.mean(values)) if values else None
