"""Blocks of networks of one's own, found by the names of their layers and by what reads what."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_kd.analysis.reuse import lesions, metrics
from keras_kd.models import blocks, fading, weights
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


@pytest.mark.parametrize("out", ["out", "relu2"])
@pytest.mark.parametrize("combine", [None, branch_first])
def test_a_block_ends_in_its_last_activation(out, combine):
    found = blocks.blocks_of(user_network(combine, out=out))
    add = "stage1_block1_add" if combine else None
    expected = blocks.BlockLayers(
        "stage1_block1", "stage1_block1_conv1", f"stage1_block1_{out}", add, activated=True
    )
    assert found[0] == expected


def test_open_gates_are_the_residual_network_where_blocks_end_in_another_name():
    plain, residual = shaken(user_network(out="relu2")), user_network(branch_first, out="relu2")
    weights.copy_by_layer(plain, residual)
    faded = fading.with_fading_shortcuts(plain, [(9, 9)] * 2)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(faded(images), residual(images), atol=1e-4)
    assert [block.last for block in blocks.blocks_of(faded)] == ["stage1_block1_relu2", "stage1_block2_relu2"]


def chain(*names):
    images = keras.Input((8, 8, 3))
    x = images
    for name in names:
        norm, relu = layers.BatchNormalization(name=name), layers.ReLU(name=name)
        x = (norm if "bn" in name else relu if "relu" in name else layers.Conv2D(3, 1, name=name))(x)
    return keras.Model(images, layers.GlobalAveragePooling2D()(x), name="mine")


@pytest.mark.parametrize(
    "parts", [("conv1", "conv3"), ("conv1", "bn1", "conv2", "bn2"), ("conv1", "bn1", "relu1", "conv2")]
)
def test_a_block_of_unclear_end_is_refused(parts):
    names = [f"stage1_block1_{part}" for part in parts]
    message = "'stage1_block1' of 'mine' ends is not clear: .* 'stage1_block1_out'. Received: .*conv1"
    with pytest.raises(ValueError, match=message):
        blocks.blocks_of(chain(*names))
