"""Blocks of networks of one's own, found by the names of their layers and by what reads what."""

import numpy as np
from keras import layers

from keras_kd.analysis.reuse import lesions, metrics
from keras_kd.models import blocks
from tests.support.networks import shaken, user_network


def skip_first(skip, x, name):
    return layers.Add(name=f"{name}_add")([skip, x])


def branch_first(skip, x, name):
    return layers.Add(name=f"{name}_add")([x, skip])


def test_the_order_of_a_sum_does_not_matter():
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    one, other = (shaken(user_network(combine)) for combine in (skip_first, branch_first))
    assert blocks.branch_places(one) == {"stage1_block1_add": 1, "stage1_block2_add": 1}
    assert blocks.branch_places(other) == {"stage1_block1_add": 0, "stage1_block2_add": 0}
    assert metrics.branch_ratios(one, images) == metrics.branch_ratios(other, images)
    found = [lesions.LesionedModel(each).logits(images, ["stage1_block2"]) for each in (one, other)]
    np.testing.assert_allclose(*found, atol=1e-5)
