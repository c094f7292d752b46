"""The one count of parameters, whether or not they are frozen."""

import keras
import pytest
from keras import layers

import keras_kd
from keras_kd.models import cost, weights


def network():
    image = keras.Input((6, 6, 2))
    x = layers.Normalization()(image)  # 2 + 2 numbers and a count
    x = layers.Conv2D(4, 3)(x)  # 72 + 4
    x = layers.BatchNormalization()(x)  # 8, and 8 statistics
    x = layers.SpectralNormalization(layers.Conv2D(3, 1))(x)  # 12 + 3, and a vector of 3
    x = layers.Reshape((16, 3))(x)
    x = layers.Bidirectional(layers.SimpleRNN(2))(x)  # 2 x (6 + 4 + 2)
    x = layers.Dropout(0.5)(x)  # the state of a generator is no weight
    return keras.Model(image, layers.Dense(2)(x))  # 8 + 2


TRAINED, OTHERS = 72 + 4 + 8 + 15 + 24 + 10, 5 + 8 + 3


def freeze_all(model):
    model.trainable = False


def freeze_some(model):
    model.layers[2].trainable = False
    model.layers[3].trainable = False


def freeze_wrapped(model):
    model.layers[4].layer.trainable = False
    model.layers[6].forward_layer.trainable = False


@pytest.mark.parametrize("freeze", [lambda model: None, freeze_all, freeze_some, freeze_wrapped])
def test_statistics_are_no_parameters_and_what_is_frozen_is(freeze):
    model = network()
    freeze(model)
    assert weights.count_parameters(model) == TRAINED
    assert weights.count_parameters(model, trained=False) == OTHERS
    assert model.count_params() == TRAINED + OTHERS
    found = cost.cost(model)
    assert (found.parameters, found.statistics) == (TRAINED, OTHERS)


def test_models_inside_a_model_count():
    inner = keras_kd.cifar_resnet(8, (8, 8, 1), 4, width=4)
    expected = weights.count_parameters(inner)
    inner.trainable = False
    image = keras.Input((8, 8, 1))
    assert weights.count_parameters(keras.Model(image, inner(layers.Rescaling(2.0)(image)))) == expected
