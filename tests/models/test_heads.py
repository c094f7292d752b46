"""A new classifier on the layers of a trained network, and which of them learn."""

import keras
import numpy as np
import pytest

from keras_kd.models import heads
from tests.support.networks import one_block


def test_all_layers_but_the_last_are_those_of_the_network():
    old = one_block(seed=1)
    new = heads.with_new_classifier(old, 7)
    assert (new.output_shape, new.output.dtype, new.name) == ((None, 7), "float32", old.name)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    features = keras.Model(old.input, old.get_layer("head_pool").output)(images)
    kernel, bias = new.get_layer(heads.HEAD).get_weights()
    np.testing.assert_allclose(new(images), np.array(features) @ kernel + bias, rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in new.layers[:-1]] == [layer.name for layer in old.layers[:-1]]


def test_a_classifier_that_is_a_convolution_gives_way_to_a_dense_layer():
    """As in MobileNetV3."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(5, 3, strides=4, activation="relu")(images)
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 2)(x))
    new = heads.with_new_classifier(keras.Model(images, keras.layers.Activation("linear")(x)), 3)
    assert [type(layer).__name__ for layer in new.layers[1:]] == ["Conv2D", "GlobalAveragePooling2D", "Dense"]
    assert new.output_shape == (None, 3)


def test_the_classifier_alone_learns_until_all_do():
    network = heads.with_new_classifier(one_block(), 3)
    every = len(network.trainable_weights)
    heads.freeze_backbone(network)
    assert [weight.path for weight in network.trainable_weights] == ["head_logits/kernel", "head_logits/bias"]
    heads.unfreeze(network)
    assert len(network.trainable_weights) == every


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.BatchNormalization, "'net' ends in no dense layer .* Received: BatchNormalization"),
        (keras.layers.Identity, "'net' ends in no dense layer .* Received: None"),
    ],
)
def test_a_network_without_a_classifier_is_told(layer, message):
    model = keras.Sequential([keras.Input((4,)), layer()], name="net")
    with pytest.raises(ValueError, match=message):
        heads.with_new_classifier(model, 3)
